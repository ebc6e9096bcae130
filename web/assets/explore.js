// The overview asks for what is new. Without this script it stays as it was loaded.

const live = document.getElementById("live"), status = document.getElementById("live-status");
const shortest = 3000, longest = 60000; // milliseconds between two questions
let pause = shortest, tag = "";

const keys = root => new Set(Array.from(root.querySelectorAll("[data-key]"), a => a.dataset.key));

// show replaces the lists, marks what was not there, and keeps the focus where it was.
function show(html) {
	const before = keys(live), focused = document.activeElement?.dataset?.key;
	const page = new DOMParser().parseFromString(html, "text/html");
	let fresh = 0;
	for (const a of page.querySelectorAll("[data-key]")) {
		if (before.has(a.dataset.key)) continue;
		if (a.dataset.key.startsWith("e")) fresh++; // seals come all the time, and are not worth speaking of
		a.closest("li").classList.add("fresh");
	}
	live.replaceChildren(...page.body.childNodes);
	if (focused) live.querySelector(`[data-key="${focused}"]`)?.focus();
	if (fresh) status.textContent = status.dataset.news.replace("{0}", fresh);
}

async function ask() {
	if (!document.hidden) {
		try {
			const answer = await fetch(live.dataset.source, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
			if (answer.status === 200) {
				tag = answer.headers.get("ETag") ?? "";
				show(await answer.text());
			}
			pause = answer.ok || answer.status === 304 ? shortest : Math.min(2 * pause, longest);
		} catch {
			pause = Math.min(2 * pause, longest); // no network: it may come back
		}
		if (pause > shortest) status.textContent = status.dataset.paused;
		else if (status.textContent === status.dataset.paused) status.textContent = status.dataset.live;
	}
	setTimeout(ask, pause);
}

status.textContent = status.dataset.live;
setTimeout(ask, shortest);
