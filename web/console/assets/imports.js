// Sends the file with progress on the page. Without this script the form does the same, and the answer comes when all is done.
const form = document.getElementById("import");
const running = document.getElementById("running");
const bar = document.getElementById("bar");
const rows = document.getElementById("rows");

function say({ progress }) {
	const words = rows.dataset;
	rows.textContent = ["rows", "filed", "again", "problems"].map((name) => `${words[name]}: ${progress[name].toLocaleString(document.documentElement.lang)}`).join(" · ");
}

async function look(address) {
	const answer = await fetch(address, { headers: { Accept: "application/json" } });
	if (answer.status === 200) say(await answer.json());
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
	const page = `${form.action}/${form.elements.once.value}`;
	const timer = setInterval(() => look(page).catch(() => {}), 1000);
	request.upload.addEventListener("progress", (sent) => { bar.value = sent.lengthComputable ? sent.loaded / sent.total : 0; });
	request.addEventListener("loadend", () => {
		clearInterval(timer);
		if (request.status === 200 && request.responseURL !== form.action) {
			location.assign(request.responseURL);
			return;
		}
		const text = request.responseText || "";
		const answer = new DOMParser().parseFromString(text, "text/html").querySelector("main");
		if (answer) document.querySelector("main").replaceWith(answer); // a page that says what is wrong
		else location.reload();
		document.querySelector("main h1")?.scrollIntoView();
	});
	request.open("POST", form.action);
	running.hidden = false;
	form.querySelector("button").disabled = true;
	request.send(new FormData(form));
});
