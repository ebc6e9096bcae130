// The overview shows what is new: by a stream of events, or by asking again and again where there is none. Without this script it stays
// as it was loaded. What is read stays where it is: neither focus nor place on the screen moves, and people can pause it.

const live = document.getElementById("live"), status = document.getElementById("live-status"), hold = document.getElementById("live-hold");
const shortest = 3000, longest = 60000; // milliseconds between two questions
const streamAgain = 60000, sayAgain = 10000;
let tag = "", stream, timer, pause = shortest, held = false, spoke = 0, unsaid = 0;

const work = root => Number(root.querySelector("[data-work]").dataset.work);

// say puts the status into words, but not so often that a screen reader says nothing else.
function say(fresh) {
	unsaid += fresh;
	if (!unsaid || Date.now() - spoke < sayAgain) return;
	status.textContent = status.dataset.news.replace("{0}", unsaid);
	[spoke, unsaid] = [Date.now(), 0];
}

// merge makes a list what another is. Lines that stay are not touched; the one that has the focus stays while it has it.
function merge(list, news) {
	const known = new Map(Array.from(list.children, li => [li.querySelector("[data-key]").dataset.key, li]));
	let before = null; // the line behind which the next one belongs
	for (const li of Array.from(news.children)) {
		const key = li.querySelector("[data-key]").dataset.key, old = known.get(key);
		known.delete(key);
		if (old) {
			const [now, then] = [li.querySelector(":scope > .quiet"), old.querySelector(":scope > .quiet")];
			if (now && then && now.innerHTML !== then.innerHTML) then.replaceChildren(...now.childNodes); // it was sealed
			old.classList.remove("fresh");
			before = old;
			continue;
		}
		li.classList.add("fresh");
		before ? before.after(li) : list.prepend(li);
		before = li;
	}
	for (const gone of known.values()) if (!gone.contains(document.activeElement)) gone.remove();
}

// anchored changes the page, and keeps what is at the top of the screen where it is.
function anchored(change) {
	const mark = scrollY > 0 && Array.from(document.querySelectorAll("main li, main h2, main figure")).find(e => e.getBoundingClientRect().top >= 0);
	const top = mark ? mark.getBoundingClientRect().top : 0;
	change();
	if (mark?.isConnected) scrollBy({ top: mark.getBoundingClientRect().top - top, behavior: "instant" });
}

function show(html) {
	const page = new DOMParser().parseFromString(html, "text/html").body;
	const fresh = Math.max(0, work(page) - work(live));
	anchored(() => {
		const lists = [".chain", ".entries"];
		if (lists.every(l => live.querySelector(l)) && lists.every(l => page.querySelector(l))) {
			for (const l of lists) merge(live.querySelector(l), page.querySelector(l));
			const totals = live.querySelector(".totals"), now = page.querySelector(".totals");
			totals.dataset.work = now.dataset.work;
			totals.querySelectorAll("dd").forEach((dd, i) => {
				(dd.querySelector("a") ?? dd).textContent = now.querySelectorAll("dd")[i].textContent;
			});
		} else if (!live.contains(document.activeElement)) live.replaceChildren(...page.childNodes); // the first of all
	});
	say(fresh);
}

const well = () => {
	if (status.textContent === status.dataset.paused || !status.textContent) status.textContent = status.dataset.live;
};

function follow() {
	stop();
	if (held || document.hidden) return;
	const url = new URL(live.dataset.events, location.href);
	if (tag) url.searchParams.set("after", tag);
	stream = new EventSource(url);
	stream.addEventListener("open", well);
	stream.addEventListener("news", e => {
		tag = e.lastEventId;
		show(e.data);
	});
	stream.addEventListener("error", () => {
		if (stream?.readyState !== EventSource.CLOSED) return; // the browser comes back by itself, from where it was
		stop();
		ask(Date.now() + streamAgain); // no place, or no streams through some proxy
	});
}

function stop() {
	stream?.close();
	stream = undefined;
	clearTimeout(timer);
}

// ask asks until the stream is tried again.
async function ask(until) {
	try {
		const answer = await fetch(live.dataset.source, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
		if (held || document.hidden) return;
		if (answer.status === 200) {
			tag = answer.headers.get("ETag") ?? "";
			show(await answer.text());
		}
		pause = answer.ok || answer.status === 304 ? shortest : Math.min(2 * pause, longest);
	} catch {
		pause = Math.min(2 * pause, longest); // no network: it may come back
	}
	if (pause > shortest) status.textContent = status.dataset.paused;
	else well();
	timer = setTimeout(() => Date.now() > until ? follow() : ask(until), pause);
}

hold.addEventListener("click", () => {
	held = !held;
	hold.textContent = held ? hold.dataset.go : hold.dataset.hold;
	status.textContent = held ? status.dataset.held : status.dataset.live;
	follow();
});
document.addEventListener("visibilitychange", follow);
document.getElementById("live-bar").hidden = false;
status.textContent = status.dataset.live;
follow();
