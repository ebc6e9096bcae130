// The wallet's page only shows and asks: everything that matters happens in the worker.

import { t, has, said, el, field, moment, speak, speaks } from "./view.js";
import { scanner } from "./scan.js";

const config = JSON.parse(document.getElementById("config").textContent);
const main = document.getElementById("content");
const nav = document.getElementById("nav");
const idle = 10 * 60 * 1000; // milliseconds without a touch until the wallet locks itself

// ---- the worker

let worker, waiting, serial, locking;

// begin starts a worker anew. Its end is what locks a wallet: nothing of an open vault is left then.
function begin() {
	worker?.terminate();
	worker = new Worker(config.files["worker.js"]);
	waiting = new Map();
	serial = 0;
	const ready = new Promise((resolve, reject) => {
		worker.onmessage = ({ data }) => {
			if (data.ready) return resolve();
			if (data.broken !== undefined) return reject(new Error(data.broken));
			const { resolve: done, reject: fail, progress } = waiting.get(data.id);
			if (data.progress) return progress?.(data.progress);
			waiting.delete(data.id);
			data.failed ? fail(data.failed) : done(data.result);
		};
		worker.onerror = (event) => reject(new Error(event.message));
	});
	worker.postMessage({ start: config });
	return ready;
}

// call asks the worker for something; a failure has code and text.
function call(method, params, progress) {
	touch();
	return new Promise((resolve, reject) => {
		const id = ++serial;
		waiting.set(id, { resolve, reject, progress });
		worker.postMessage({ id, method, language: speaks(), params });
	});
}

function touch() {
	clearTimeout(locking);
	if (state.open) locking = setTimeout(lock, idle);
}

for (const sign of ["pointerdown", "keydown"]) addEventListener(sign, touch, { passive: true });

// ---- what is shown

const state = { open: false, exists: false, stale: false, view: null, leave: null, arrived: arrival() };

// arrival is the link that brought the person here, behind #. It never goes to a server, and leaves the address at once.
function arrival() {
	const link = decodeURIComponent(location.hash.slice(1));
	if (link) history.replaceState(null, "", location.pathname + location.search);
	return link;
}

addEventListener("hashchange", () => {
	state.arrived = arrival();
	if (state.open && state.arrived) take(state.arrived).catch(fail);
});

// ---- other tabs

// What arrives in a new tab goes to one where the wallet is open, so that nobody has to unlock it twice. Only pages of this origin hear that. A
// tab in the middle of something does not take it: what a person is about to press must not change under their hand.
const tabs = new BroadcastChannel("bulla-wallet");
const atRest = ["home", "history", "settings", "received", "answered", "declined", "failed"];
const answerTime = 300; // milliseconds

tabs.addEventListener("message", ({ data }) => {
	if (!data.arrived || !state.open || !atRest.includes(state.view)) return;
	tabs.postMessage({ taken: data.id });
	take(data.arrived).catch(fail);
});

// handOver is whether another tab takes what arrived here.
function handOver() {
	const id = crypto.randomUUID();
	return new Promise((resolve) => {
		const late = setTimeout(() => done(false), answerTime);
		const done = (taken) => {
			clearTimeout(late);
			tabs.removeEventListener("message", hear);
			resolve(taken);
		};
		const hear = ({ data }) => { if (data.taken === id) done(true); };
		tabs.addEventListener("message", hear);
		tabs.postMessage({ arrived: state.arrived, id });
	});
}

// elsewhere says where to look. Who cannot find that tab goes on here.
function elsewhere() {
	show("elsewhere", el("h1", {}, t("elsewhere")), el("p", {}, t("elsewhere.what")),
		el("button", { type: "button", onclick: begun }, t("elsewhere.here")));
}

// words of a failure.
function wordsOf(failed) {
	if (failed instanceof Error) return t("failed.other") + " " + failed.message;
	if (has("failed." + failed.code)) return t("failed." + failed.code);
	return failed.text || t("failed.other");
}

// show puts a view on the page, and the focus on its heading, so that screen readers begin there.
function show(view, ...elements) {
	state.leave?.();
	state.leave = null;
	state.view = view;
	main.replaceChildren(...elements.flat(Infinity).filter(Boolean));
	main.dataset.view = view;
	drawFrame();
	const heading = main.querySelector("h1");
	if (heading) {
		heading.tabIndex = -1;
		heading.focus();
	}
	scrollTo(0, 0);
}

function drawFrame() {
	document.title = (main.querySelector("h1")?.textContent ?? t("title")) + " · Bulla";
	document.querySelector(".skip").textContent = t("skip");
	const other = speaks() === "en" ? "zh-CN" : "en";
	const button = document.getElementById("language");
	button.textContent = other === "en" ? "English" : "中文";
	button.lang = other;
	nav.hidden = !state.open;
	nav.setAttribute("aria-label", t("nav"));
	nav.replaceChildren(...[["home", home], ["history", past], ["settings", settings]].map(([name, open]) =>
		el("button", { type: "button", "aria-current": state.view === name ? "page" : null, onclick: open }, t("nav." + name))),
	el("button", { type: "button", onclick: lock }, t("lock")));
	document.getElementById("chain").textContent = t("chain", config.profile.genesis);
}

document.getElementById("language").addEventListener("click", () => {
	speak(speaks() === "en" ? "zh-CN" : "en");
	(state.again ?? drawFrame)();
});

// page names the way to draw the present view again, in another language.
function page(draw) {
	state.again = draw;
	return draw();
}

// form makes a form whose button is off while it works, and that says what went wrong.
function form(button, work, ...fields) {
	const wrong = el("p", { class: "wrong", role: "alert", hidden: true });
	const submit = el("button", { type: "submit", class: "primary" }, button);
	return el("form", {
		onsubmit: async (event) => {
			event.preventDefault();
			wrong.hidden = true;
			submit.disabled = true;
			const values = Object.fromEntries(new FormData(event.target));
			try {
				await work(values, event.target);
			} catch (failed) {
				wrong.textContent = wordsOf(failed);
				wrong.hidden = false;
				submit.disabled = false;
			}
		},
	}, ...fields, wrong, submit);
}

const secret = (autocomplete) => ({ type: "password", autocomplete, required: true, minlength: autocomplete === "new-password" ? 10 : 1, maxlength: 1024 });

// agreed refuses two passphrases that differ.
function agreed(values) {
	if (values.passphrase !== values.again) throw { code: "again" };
}

function twice(prefix) {
	return [
		field("passphrase", t(prefix + ".passphrase"), { ...secret("new-password"), "aria-describedby": "strong" }),
		el("p", { id: "strong", class: "quiet" }, t("passphrase.hint")),
		field("again", t("passphrase.again"), secret("new-password")),
	];
}

// ---- before it is open

function welcome() {
	show("welcome",
		el("h1", {}, t("welcome")),
		el("p", {}, t("welcome.what")),
		waits(),
		el("section", { class: "box" }, el("h2", {}, t("create")),
			form(t("create.do"), async (values) => { agreed(values); await opened("create", { passphrase: values.passphrase }); }, ...twice("create"))),
		el("p", {}, el("button", { type: "button", onclick: () => page(restore) }, t("restore"))));
}

function restore() {
	show("restore",
		el("h1", {}, t("restore")),
		el("p", {}, t("restore.what")),
		form(t("restore.do"), async (values, form) => {
			agreed(values);
			const file = form.elements.file.files[0];
			if (!file || file.size > 16 << 20) throw { code: "file" };
			await opened("restore", { passphrase: values.passphrase, backup: (await file.text()).trim(), backup_passphrase: values.old });
		},
		field("file", t("restore.file"), { type: "file", required: true }),
		field("old", t("restore.passphrase"), secret("off")),
		...twice("create")),
		el("p", {}, el("button", { type: "button", onclick: () => page(state.exists ? unlock : welcome) }, t("back"))));
}

// ---- passkeys: the authenticator makes the same 32 bytes each time, which open the vault's seal

const supported = () => "PublicKeyCredential" in self && !!navigator.credentials;
const random = (n) => crypto.getRandomValues(new Uint8Array(n));
const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

// keyOf asks the authenticator, and so the person.
async function keyOf(id, salt) {
	const got = await navigator.credentials.get({ publicKey: {
		challenge: random(32), allowCredentials: [{ type: "public-key", id }], userVerification: "required", extensions: { prf: { eval: { first: salt } } },
	} });
	const key = got.getClientExtensionResults().prf?.results?.first;
	if (!key) throw { code: "no_prf" };
	return encode(key);
}

async function addPasskey() {
	const salt = random(32);
	const made = await navigator.credentials.create({ publicKey: {
		rp: { name: "Bulla" }, user: { id: random(16), name: t("title"), displayName: t("title") }, challenge: random(32),
		pubKeyCredParams: [{ type: "public-key", alg: -7 }, { type: "public-key", alg: -8 }, { type: "public-key", alg: -257 }],
		authenticatorSelection: { residentKey: "preferred", userVerification: "required" }, extensions: { prf: {} },
	} });
	if (!made.getClientExtensionResults().prf?.enabled) throw { code: "no_prf" };
	const { seal } = await call("seal", { key: await keyOf(made.rawId, salt) });
	await call("passkey.save", { id: encode(made.rawId), salt: encode(salt), seal });
}

// asked is what an authenticator or its person refused, in our words.
function asked(error) {
	return error instanceof DOMException ? { code: "no_passkey" } : error;
}

async function unlock() {
	const kept = supported() ? await call("passkey.load") : null;
	show("unlock",
		el("h1", {}, t("unlock")),
		waits(),
		kept ? form(t("unlock.passkey"), async () => {
			try {
				await opened("unseal", { key: await keyOf(decode(kept.id), decode(kept.salt)), seal: kept.seal });
			} catch (error) {
				throw asked(error);
			}
		}) : null,
		form(t("unlock.do"), (values) => opened("unlock", { passphrase: values.passphrase }), field("passphrase", t("unlock.passphrase"), secret("current-password"))));
	if (kept) main.querySelector("form:last-child button").className = "other";
}

// waits says that what brought the person here is not lost.
function waits() {
	return state.arrived ? el("p", { class: "quiet" }, t("waits")) : null;
}

async function opened(method, params) {
	await call(method, params);
	state.open = state.exists = true;
	touch();
	await page(home);
	call("resume").then((got) => { if (got.length) refresh(); }).catch(() => {}); // what broke off may go on; else it is tried the next time
	if (state.arrived) take(state.arrived).catch(fail);
}

async function lock() {
	clearTimeout(locking);
	state.open = false;
	await start();
}

// ---- at home

let shown = []; // the cards

async function home() {
	shown = await call("credentials");
	drawHome();
	refresh();
}

addEventListener("online", () => { if (state.view === "home") refresh(); });

function drawHome() {
	show("home",
		el("h1", {}, t("title")),
		el("p", { id: "stale", class: "warning", role: "status", hidden: !state.stale }, t("stale")),
		shown.length ? null : el("p", {}, t("home.empty")),
		...shown.map(card),
		el("section", { class: "box" }, el("h2", {}, t("take")), el("p", {}, t("take.what")),
			form(t("take.do"), (values) => take(values.link.trim()),
				el("p", { class: "field" }, el("label", { for: "link" }, t("take.link")), el("textarea", { id: "link", name: "link", required: true, autocomplete: "off", spellcheck: "false", maxlength: 8192 }))),
			el("p", {}, el("button", { type: "button", class: "other", onclick: () => page(scan) }, t("scan")))));
	state.again = drawHome;
}

// refresh asks the chain how the cards are, in the background.
async function refresh() {
	let list;
	const before = state.stale;
	try {
		list = await call("sync");
		state.stale = false;
	} catch {
		list = shown;
		state.stale = true; // no connection: the cards say so, and when they were last seen
	}
	if (before === state.stale && JSON.stringify(list) === JSON.stringify(shown)) return;
	shown = list;
	if (state.view !== "home") return;
	main.querySelector("#stale").hidden = !state.stale;
	const old = main.querySelectorAll(".card");
	if (old.length === shown.length) old.forEach((each, i) => each.replaceWith(card(shown[i])));
	else if (!main.querySelector("textarea")?.value) drawHome();
}

function card(c) {
	return el("article", { class: "box card " + c.state, "data-state": c.state, "aria-label": said(c.title) },
		el("div", { class: "top" }, el("h2", {}, said(c.title)),
			el("span", { class: "live" }, state.stale ? t("card.last", t("state." + c.state)) : t("state." + c.state))),
		el("p", { class: "quiet" }, said(c.issuer_name)),
		el("dl", {}, c.claims.map((line) => [el("dt", {}, said(line.title) || line.name), el("dd", {}, said(line.label) || String(line.value))])),
		el("p", { class: "quiet" }, t("card.until", c.valid_until), " · ", t("card.seen", moment(c.checked))));
}

// scan reads a link from a code.
async function scan() {
	const { content, found, end } = scanner(config, (text) => kindOf(text.trim()) !== null);
	show("scan", el("h1", {}, t("scan")), content, el("button", { type: "button", onclick: () => page(home) }, t("back")));
	state.leave = end;
	try {
		await take((await found).trim());
	} catch (error) {
		fail(error);
	}
}

// ---- what came: an offer or a request

// kindOf is what a link brings, or null.
function kindOf(link) {
	if (link.startsWith("openid-credential-offer:")) return "offer";
	if (link.startsWith("openid4vp:") || link.startsWith("bulla-counter:")) return "request";
	return null;
}

async function take(link) {
	state.arrived = "";
	switch (kindOf(link)) {
	case "offer": return page(() => offer(link));
	case "request": return ask(link);
	}
	throw { code: "link" };
}

function fail(failed) {
	page(() => show("failed", el("h1", {}, t("failed")), el("p", { class: "wrong", role: "alert" }, wordsOf(failed)),
		el("button", { type: "button", onclick: () => page(home) }, t("home"))));
}

// busy shows how far a call is. leave is a button by which a person goes back, where nothing has been sent yet.
function busy(title, leave) {
	const bar = el("progress", { max: 1, "aria-label": t("progress") });
	const stage = el("p", { role: "status" }, t("stage.ask"));
	const back = leave ? el("p", {}, el("button", { type: "button", onclick: () => page(home) }, t("back"))) : null;
	page(() => show("busy", el("h1", {}, t(title)), stage, bar, back));
	const report = (p) => {
		bar.max = p.total;
		bar.value = p.done;
		if (has("stage." + p.stage)) stage.textContent = t("stage." + p.stage);
	};
	return { report, here: () => bar.isConnected };
}

// told shows what came of something, unless the person went on and is in the middle of something else: what they are about to press must not
// change under their hand. What was sent or received then stands in the history.
function told(work, draw) {
	if (work.here() || atRest.includes(state.view)) draw();
}

// offer asks before it is received: what an offer says of itself is nobody's word yet.
function offer(link, needsCode) {
	show("offer",
		el("h1", {}, t("offer")),
		el("p", {}, t("offer.what", issuerOf(link))),
		form(t("offer.do"), async (values) => {
			const work = busy("offer.busy");
			try {
				const summary = await call("receive", { link, tx_code: values.code ?? "" }, work.report);
				told(work, () => received(summary));
			} catch (failed) {
				told(work, () => failed.code === "tx_code" && !values.code ? page(() => offer(link, true)) : fail(failed));
			}
		}, needsCode ? field("code", t("offer.code"), { required: true, autocomplete: "one-time-code", maxlength: 64 }) : null),
		el("p", {}, el("button", { type: "button", onclick: () => page(home) }, t("offer.not"))));
}

// issuerOf is the host that an offer names, or that it is fetched from.
function issuerOf(link) {
	try {
		const query = new URL(link).searchParams;
		return new URL(query.get("credential_offer_uri") ?? JSON.parse(query.get("credential_offer")).credential_issuer).host;
	} catch {
		return "?";
	}
}

function received(summary) {
	page(() => show("received", el("h1", {}, t("received")), card(summary), el("button", { type: "button", class: "primary", onclick: () => page(home) }, t("home"))));
}

async function ask(link) {
	const work = busy("ask.busy", true);
	try {
		const read = await call("read", { link }, work.report);
		if (!work.here()) return; // the person went back
		state.again = async () => consent(await call("explain", { number: read.number }));
		consent(read);
	} catch (failed) {
		if (work.here()) fail(failed);
	}
}

function list(items, attributes = {}) {
	return items?.length ? el("ul", attributes, items.map((item) => el("li", {}, item))) : null;
}

// narrowed is what an answer narrows down; what the person should notice has a word before it.
function narrowed(title, lines) {
	if (!lines?.length) return null;
	return [el("h3", {}, title), list(lines.map((line) => [line.severity === "none" ? null : el("strong", {}, t("notice"), " "), line.text]))];
}

// signs say by what whoever asks recognises the person again.
function signs(linking) {
	return el("section", { class: "signs", "aria-label": t("linking") }, linking.map((l) =>
		el("p", { class: "sign " + l.kind, "data-linking": l.kind }, el("span", { class: "icon", "aria-hidden": "true" }),
			el("span", {}, el("strong", {}, t("linking." + l.kind)), " ", l.text))));
}

// asked is one credential that is asked for: what is proven, what stays here, what it gives away all the same.
function askedFor(query) {
	return el("section", { class: "box" },
		el("h2", {}, query.title),
		el("h3", {}, t("proven")), list(query.facts, { class: "facts" }),
		query.unsent.length ? [el("h3", {}, t("unsent")), list(query.unsent, { class: "unsent" })] : null,
		el("p", { class: "many" }, query.crowd_text, query.group_text ? " " + query.group_text : ""),
		el("details", {}, el("summary", {}, t("details")),
			el("h3", {}, t("shown")), list(query.shown),
			narrowed(t("narrows"), query.narrows),
			(query.sets ?? []).map((set) => [el("h3", {}, set.name + " (" + set.members.length + ")"), list(set.members.map(String))])),
		narrowed(t("together"), query.together));
}

// consent is what the person reads. Refusing is as easy as agreeing.
function consent(read) {
	const x = read.request;
	show("consent",
		el("p", { class: "who" }, el("strong", {}, x.verifier), " ", t("asks")),
		el("h1", {}, x.policy),
		el("details", { class: "known" }, el("summary", {}, t("identified")), el("p", {}, x.identified), el("p", {}, x.revocation)),
		signs(x.linking),
		x.warnings.map((warning) => el("p", { class: "warning", role: "note" }, warning)),
		x.queries.map(askedFor),
		el("h2", {}, t("about")), list(x.about),
		el("h2", {}, t("before")), list(x.before) ?? el("p", {}, t("before.nothing")),
		x.adds.length ? [el("h2", {}, t("adds")), list(x.adds)] : null,
		x.notices.map((notice) => el("p", { class: "dev", role: "note" }, notice)),
		read.why_not ? el("p", { class: "wrong", role: "alert" }, wordsOf(read.why_not)) : null,
		el("div", { class: "choices" },
			el("button", { type: "button", onclick: () => decline(read) }, t("decline")),
			read.can_answer ? el("button", { type: "button", class: "primary", onclick: () => agree(read) }, t("agree")) : null));
}

async function agree(read) {
	const work = busy("agree.busy");
	try {
		const answer = await call("answer", { number: read.number }, work.report);
		if (answer.code) return answered(answer); // it counts once, and stands nowhere else
		told(work, () => answered(answer));
	} catch (failed) {
		told(work, () => fail(failed));
	}
}

function answered(answer) {
	page(() => show("answered",
		el("section", { class: "box done" }, el("h1", {}, t("answered")),
			el("p", {}, t(answer.code ? "answered.ready" : "answered.what", said(answer.event.name))),
			list((answer.event.facts ?? []).map(said), { class: "facts" }),
			el("p", { class: "quiet", "data-proving": answer.proving_ms }, t("answered.proving", (answer.proving_ms / 1000).toLocaleString(speaks(), { maximumFractionDigits: 1 })))),
		answer.code ? shownAtCounter(answer.code) : null,
		answer.redirect_uri ? el("p", {}, el("a", { class: "button primary", href: answer.redirect_uri, rel: "noreferrer" }, t("answered.go", new URL(answer.redirect_uri).host))) : answer.code ? null : el("p", {}, t("answered.back")),
		el("p", {}, el("button", { type: "button", onclick: () => page(home) }, t("home")))));
}

// shownAtCounter is the code that a counter reads; its text is for who types.
function shownAtCounter(code) {
	return [
		el("p", {}, t("answered.counter")),
		code.svg ? el("img", { class: "code", src: "data:image/svg+xml," + encodeURIComponent(code.svg), alt: t("answered.code") }) : null,
		el("details", { open: !code.svg }, el("summary", {}, t("answered.text")), el("textarea", { readonly: true, "aria-label": t("answered.text") }, code.text)),
	];
}

async function decline(read) {
	try {
		await call("refuse", { number: read.number });
	} catch (failed) {
		return fail(failed);
	}
	page(() => show("declined",
		el("section", { class: "box" }, el("h1", {}, t("declined")), el("p", {}, t(read.at_counter ? "declined.counter" : "declined.what"))), el("button", { type: "button", onclick: () => page(home) }, t("home"))));
}

// ---- history and settings

async function past() {
	const events = await call("history");
	const draw = () => show("history",
		el("h1", {}, t("history")),
		events.length ? null : el("p", {}, t("history.empty")),
		events.toReversed().map((event) => el("article", { class: "event" },
			el("h2", {}, t("kind." + event.kind, said(event.name))),
			el("p", { class: "quiet" }, moment(event.at), event.kind === "presented" ? " · " + t("outcome." + event.outcome) : "", event.remote ? " (" + event.remote + ")" : ""),
			said(event.purpose) ? el("p", {}, said(event.purpose)) : null,
			list((event.facts ?? []).map(said), event.kind === "presented" ? { class: "facts" } : {}),
			event.shown?.length ? el("details", {}, el("summary", {}, t("shown")), list(event.shown.map(said))) : null)));
	page(draw);
}

function settings() {
	page(() => show("settings",
		el("h1", {}, t("settings")),
		el("section", { class: "box" }, el("h2", {}, t("backup")), el("p", {}, t("backup.what")),
			form(t("backup.do"), async (values, form) => {
				agreed(values);
				const { backup } = await call("backup", { passphrase: values.passphrase });
				const address = URL.createObjectURL(new Blob([backup], { type: "application/json" }));
				const link = el("a", { href: address, download: "bulla-wallet-backup.json", class: "button" }, t("backup.save"));
				form.replaceChildren(el("p", { role: "status" }, t("backup.made")), link);
				link.click();
			}, ...twice("backup"))),
		supported() ? el("section", { class: "box" }, el("h2", {}, t("passkey")), el("p", {}, t("passkey.what")),
			form(t("passkey.do"), async (_, form) => {
				try {
					await addPasskey();
				} catch (error) {
					throw asked(error);
				}
				form.replaceChildren(el("p", { role: "status" }, t("passkey.done")));
			})) : null,
		el("section", { class: "box" }, el("h2", {}, t("change")),
			form(t("change.do"), async (values, form) => {
				if (values.new !== values.newAgain) throw { code: "again" };
				await call("passphrase", { old: values.old, new: values.new });
				await call("passkey.drop"); // it opens nothing any longer
				form.replaceChildren(el("p", { role: "status" }, t("change.done")));
			},
			field("old", t("unlock.passphrase"), secret("current-password")),
			field("new", t("create.passphrase"), secret("new-password")),
			field("newAgain", t("passphrase.again"), secret("new-password")))),
		el("section", { class: "box" }, el("h2", {}, t("remove")), el("p", {}, t("remove.what")),
			shown.length ? form(t("remove.do"), async (values) => {
				await call("remove", { id: values.id });
				shown = await call("credentials");
				settings();
			}, el("p", { class: "field" }, el("label", { for: "id" }, t("remove.which")),
				el("select", { id: "id", name: "id", required: true }, el("option", { value: "" }, "—"),
					shown.map((c) => el("option", { value: c.id }, said(c.title) + " · " + c.claims.slice(0, 2).map((line) => said(line.label) || line.value).join(", ")))))) : null)));
}

// ---- the beginning

async function start() {
	try {
		await begin();
		const { exists } = await call("status");
		state.exists = exists;
		page(exists ? unlock : welcome);
		performance.mark("interactive");
	} catch (error) {
		page(() => show("broken", el("h1", {}, t("broken")), el("p", { class: "wrong", role: "alert" }, error.message ?? wordsOf(error))));
	}
}

// begun starts the wallet in this tab, and has the browser keep the page for when there is no network.
function begun() {
	navigator.serviceWorker?.register("offline.js").catch(() => {}); // then it needs the network
	return start();
}

if (state.arrived && await handOver()) page(elsewhere);
else begun();
