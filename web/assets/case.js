// The page of a case is drawn anew when the case goes on. Events only say that it did: the words are the server's.
// Without this script the page renews itself.

const live = document.getElementById("live");
const retry = 15000; // milliseconds until we ask again, when there are no events
let work = Promise.resolve();

function current() {
	return document.getElementById("case");
}

// renew takes over the part that changes, so that screen readers hear the new state and nothing else moves. One at a time, and each event
// is followed by one that begins after it.
function renew() {
	work = work.then(draw).catch(() => {}); // no network: it may come back
	return work;
}

async function draw() {
	const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
	if (answer.status === 404) return location.reload();
	if (!answer.ok) return;
	const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("case");
	if (!next || next.dataset.version === current().dataset.version) return;
	const [box, fresh] = [current(), next].map((c) => c.querySelector(".now"));
	box.className = fresh.className;
	box.lastElementChild.textContent = fresh.lastElementChild.textContent;
	box.querySelector("#now").textContent = fresh.querySelector("#now").textContent;
	current().querySelector(".timeline").replaceWith(next.querySelector(".timeline"));
	current().dataset.version = next.dataset.version;
	if ("ended" in next.dataset) {
		current().dataset.ended = "";
		stop();
	}
}

let events, timer;

function stop() {
	events?.close();
	clearTimeout(timer);
	live.hidden = true;
}

function poll() {
	live.hidden = true;
	timer = setTimeout(async () => { await renew(); if (!("ended" in current().dataset)) poll(); }, retry);
}

function follow() {
	events = new EventSource(location.pathname);
	events.addEventListener("open", () => { live.hidden = false; });
	events.addEventListener("progress", renew);
	events.addEventListener("error", () => {
		live.hidden = true;
		if (events.readyState === EventSource.CLOSED) poll(); // refused: too many follow, or the case is gone
	});
}

follow();
