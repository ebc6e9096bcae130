// The page of a verification follows its state, and tells the page that opened it how it ended. Without this script the page
// renews itself.

const state = document.getElementById("state");
const section = state.closest("section");
const reason = document.getElementById("reason");
const back = document.getElementById("back");
const ask = document.getElementById("ask");
const address = new URL(location.pathname.replace(/\/$/, "") + "/state", location.origin);
address.searchParams.set("lang", document.documentElement.lang);

const shortest = 1000, longest = 15000; // milliseconds between two questions
let pause = shortest;
let tag = "";

// show writes only what changed, so that screen readers speak only then.
function show(progress) {
	if (state.dataset.state !== progress.state) {
		section.classList.replace(state.dataset.state, progress.state);
		state.dataset.state = progress.state;
		state.textContent = progress.text;
	}
	reason.textContent = progress.reason ?? "";
	reason.hidden = !progress.reason;
	if (!progress.final) return;
	ask?.remove();
	back.hidden = false;
	tell(progress);
}

// tell goes only to sites that the verifier said people come from. Whether the word is true, such a site asks the verifier.
function tell(progress) {
	if (!window.opener) return;
	for (const site of progress.sites ?? []) {
		window.opener.postMessage({ bulla: "ended", page: location.href.split(/[?#]/)[0], state: progress.state }, site);
	}
}

async function askAgain() {
	try {
		const answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
		if (answer.status === 404) return location.reload();
		if (answer.status === 200) {
			tag = answer.headers.get("ETag") ?? "";
			const progress = await answer.json();
			show(progress);
			if (progress.final) return;
			pause = shortest;
		} else if (answer.status === 304) {
			pause = shortest;
		} else {
			pause = Math.min(2 * pause, longest);
		}
	} catch {
		pause = Math.min(2 * pause, longest); // no network: it may come back
	}
	setTimeout(askAgain, document.hidden ? Math.max(pause, 3 * shortest) : pause);
}

const copy = document.getElementById("copy");
if (copy && navigator.clipboard) {
	copy.hidden = false;
	copy.addEventListener("click", async () => {
		await navigator.clipboard.writeText(copy.dataset.link);
		copy.textContent = copy.dataset.done;
	});
}

askAgain();
