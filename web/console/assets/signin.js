// Signing in and joining with a passkey. What a link brings behind # is taken out of the address at once, and goes to the server in a
// body only. Texts are in the page, in its language.

const says = document.getElementById("says");

function say(text, bad) {
	says.textContent = text;
	says.hidden = !text;
	says.classList.toggle("bad", Boolean(bad));
}

// secret is what stands behind # in the address, which is then gone from it and from the history.
function secret() {
	const text = location.hash.slice(1);
	if (text) history.replaceState(null, "", location.pathname + location.search);
	return text;
}

// ask posts and returns the answer, or throws what the server says in the page's language.
async function ask(address, body) {
	const response = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}), credentials: "same-origin" });
	const answer = await response.json().catch(() => ({}));
	if (!response.ok) throw new Error(answer.problem || response.statusText);
	return answer;
}

const able = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

// attempt does one thing with the device; meanwhile the button waits.
async function attempt(button, texts, work) {
	button.disabled = true;
	say(texts.wait);
	try {
		const { to } = await work();
		location.assign(to);
	} catch (e) {
		say(e instanceof DOMException ? texts.stopped : e.message, true);
		button.disabled = false;
	}
}

const make = async (options) => (await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })).toJSON();

function signIn(page) {
	const link = secret();
	if (link) {
		document.getElementById("link").value = link;
		document.getElementById("link-form").submit();
		return;
	}
	const button = document.getElementById("passkey");
	if (!button) return;
	if (!able) return say(page.dataset.old, true);
	button.hidden = false;
	button.addEventListener("click", () => attempt(button, page.dataset, async () => {
		const options = PublicKeyCredential.parseRequestOptionsFromJSON(await ask(button.dataset.options));
		const found = await navigator.credentials.get({ publicKey: options });
		return ask(button.dataset.finish, found.toJSON());
	}));
}

async function join(page) {
	const link = secret();
	if (!link) {
		document.getElementById("no-link").hidden = false;
		return;
	}
	if (!able) return say(page.dataset.old, true);
	let invited;
	try {
		invited = await ask(page.dataset.options, { link });
	} catch (e) {
		return say(e.message, true);
	}
	document.getElementById("who").textContent = invited.name;
	document.getElementById("id").textContent = invited.id;
	document.getElementById("roles").textContent = invited.roles.join(" · ");
	const form = document.getElementById("invited");
	form.hidden = false;
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		attempt(form.querySelector("button"), page.dataset, async () => {
			const { options } = await ask(page.dataset.options, { link }); // a new challenge for each attempt
			return ask(page.dataset.finish, { link, name: form.elements.name.value, answer: await make(options) });
		});
	});
}

function passkeys(page) {
	const form = document.getElementById("add");
	if (!form) return;
	if (!able) return say(page.dataset.old, true);
	form.hidden = false;
	form.addEventListener("submit", (event) => {
		event.preventDefault();
		attempt(form.querySelector("button"), page.dataset, async () => {
			const options = await ask(page.dataset.options);
			return ask(page.dataset.finish, { name: form.elements.name.value, answer: await make(options) });
		});
	});
}

addEventListener("hashchange", () => location.reload()); // a link was put into the address of this very page
for (const [id, start] of Object.entries({ "sign-in": signIn, join, passkeys })) {
	const page = document.getElementById(id);
	if (page) start(page);
}
