// A shop's page is drawn anew while its purchase changes. The words are the server's. Without this script the page renews itself.

const pause = 1000; // milliseconds between two looks

async function look() {
	const here = document.getElementById("visit");
	if (!here || "ended" in here.dataset) return;
	try {
		const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
		if (answer.ok) {
			const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("visit");
			if (next && next.dataset.version !== here.dataset.version) here.replaceWith(next);
		}
	} catch {
		// no network: it may come back
	}
	setTimeout(look, document.hidden ? 3 * pause : pause);
}

look();
