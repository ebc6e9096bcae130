// The checker: fetches a checkpoint and proofs, recomputes them here, and draws the way from an entry to the root.

import * as proofs from "./proof.js";

const place = document.getElementById("check");
const words = {};
for (const p of document.getElementById("words").content.querySelectorAll("[data-word]")) words[p.dataset.word] = p.textContent;
const number = n => n.toLocaleString(document.documentElement.lang);
const say = (word, ...values) => words[word].replace(/\{(\d)\}/g, (_, i) => values[i]);
const policy = {
	logKey: place.dataset.logKey, cosigners: place.dataset.cosigners.split(" ").filter(Boolean), threshold: Number(place.dataset.threshold),
};
const short = h => proofs.hex(h).slice(0, 12) + "…";

// step shows one result: good, bad, or unknown where the browser cannot say.
function step(list, result, title, ...details) {
	const item = document.createElement("li");
	item.className = result === null ? "unknown" : result ? "good" : "bad";
	const strong = document.createElement("strong");
	const mark = document.createElement("span");
	mark.className = item.className + "-mark";
	mark.textContent = result === null ? `? ${words.unknown}: ` : result ? `✓ ${words.good}: ` : `✗ ${words.bad}: `;
	strong.append(mark, title);
	item.append(strong);
	for (const text of details.filter(Boolean)) {
		const line = document.createElement("span");
		line.append(text);
		item.append(line, " ");
	}
	list.append(item);
	return result;
}

function address(path, query = {}) {
	const url = new URL(path, location.href);
	for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
	return url;
}

async function fetched(path, query) {
	const answer = await fetch(address(path, query), { cache: "no-store" });
	if (!answer.ok) throw new Error(String(answer.status));
	return answer;
}

const list = hashes => hashes.map(h => proofs.decode(h, true));

// signatures shows who signed a checkpoint, and tells whether that suffices.
async function signatures(steps, checkpoint) {
	const { log, good, enough } = await proofs.judge(checkpoint, policy);
	step(steps, log, say("signed", checkpoint.origin), log === null ? words["no-ed25519"] : "", say("size", number(checkpoint.size), short(checkpoint.root)));
	if (policy.cosigners.length) step(steps, enough, say("cosigned", good, policy.cosigners.length, policy.threshold));
	return log !== false && enough !== false;
}

// grows checks that of two checkpoints the larger continues the smaller.
async function grows(steps, a, b, title) {
	const [older, newer] = a.size <= b.size ? [a, b] : [b, a];
	let path = [];
	if (older.size < newer.size) path = list((await (await fetched(place.dataset.consistency, { old: older.size, size: newer.size })).json()).proof);
	const good = await proofs.consistent(older.size, older.root, newer.size, newer.root, path);
	return step(steps, good, title, good ? say("grew", number(older.size), number(newer.size), path.length) : words["grew-not"]);
}

const memory = "bulla-checkpoint " + place.dataset.chain;

// remembered is the checkpoint that this browser saw last, or nothing.
function remembered() {
	try {
		const note = localStorage.getItem(memory);
		return note ? proofs.parseCheckpoint(note) : null;
	} catch {
		return null; // storage that is turned off
	}
}

function remember(checkpoint) {
	try {
		localStorage.setItem(memory, checkpoint.note);
	} catch { /* storage that is turned off */ }
}

let current; // the checkpoint of today, once its signatures suffice

async function checkpointNow() {
	return proofs.parseCheckpoint(await (await fetched(place.dataset.checkpoint)).text());
}

async function run() {
	const steps = document.getElementById("steps");
	if (!proofs.able()) return step(steps, null, words["no-crypto"]);
	let checkpoint;
	try {
		checkpoint = await checkpointNow();
	} catch (e) {
		return step(steps, null, words["no-checkpoint"], e.message);
	}
	if (!await signatures(steps, checkpoint)) return;
	current = checkpoint;
	const index = Number(place.dataset.entry);
	if (!(index < checkpoint.size)) {
		step(steps, null, say("not-yet", index, number(checkpoint.size)));
	} else {
		await included(steps, checkpoint, index);
	}
	const seen = remembered();
	if (!seen) {
		step(steps, null, words["first-visit"], words["first-visit-more"]);
		return remember(checkpoint);
	}
	if (await grows(steps, seen, checkpoint, words.continues) && seen.size <= checkpoint.size) remember(checkpoint);
}

// included recomputes the root from the entry, and shows the tree.
async function included(steps, checkpoint, index) {
	let answer, result;
	try {
		answer = await (await fetched(place.dataset.proof, { index, size: checkpoint.size })).json();
		const bytes = new TextEncoder().encode(answer.entry), path = list(answer.proof);
		result = await proofs.inclusion(await proofs.leafHash(bytes), index, checkpoint.size, path);
		const good = proofs.equal(result.root, checkpoint.root);
		step(steps, good, say("included", index), say("included-how", path.length, short(result.root), good ? "=" : "≠", short(checkpoint.root)));
		tree({ bytes, path, index, checkpoint });
	} catch (e) {
		step(steps, false, say("included", index), e.message);
	}
}

// tree draws the path, and lets people break the entry: by a button, or in any way they like.
function tree(t) {
	const tamper = document.getElementById("tamper"), restore = document.getElementById("restore"), text = document.getElementById("leaf-text");
	document.getElementById("tree-section").hidden = false;
	let tries = 0, honest, turn = 0;
	const compute = async bytes => {
		const leaf = await proofs.leafHash(bytes);
		return { leaf, ...await proofs.inclusion(leaf, t.index, t.checkpoint.size, t.path) };
	};
	const show = async bytes => {
		const mine = ++turn, now = await compute(bytes);
		if (mine !== turn) return; // somebody typed on
		honest ??= now;
		const changed = !proofs.equal(now.leaf, honest.leaf);
		draw(t, now, honest);
		table(now, honest);
		explain(t, now, bytes, changed);
		if (!changed && document.activeElement === restore) tamper.focus();
		restore.hidden = !changed;
	};
	const written = () => new TextEncoder().encode(text.value);
	text.value = new TextDecoder().decode(t.bytes);
	text.addEventListener("input", () => show(written()));
	tamper.addEventListener("click", () => {
		const at = changeOne(text, tries++);
		show(written());
		text.setSelectionRange(at, at + 1);
	});
	restore.addEventListener("click", () => {
		text.value = new TextDecoder().decode(t.bytes);
		show(t.bytes);
	});
	show(t.bytes);
}

// changeOne makes one letter or digit another, a different one each time, and says where it is.
function changeOne(text, tries) {
	let at = (Math.floor(text.value.length / 2) + 7 * tries) % Math.max(text.value.length, 1);
	while (at < text.value.length && !/[0-8A-Ya-y]/.test(text.value[at])) at++;
	const other = at < text.value.length ? String.fromCharCode(text.value.charCodeAt(at) + 1) : "0";
	text.value = text.value.slice(0, at) + other + text.value.slice(at + 1);
	return at;
}

// explain says in words what the picture shows: where the entry is another, how many hashes follow, and what no longer fits.
function explain(t, now, bytes, changed) {
	const status = document.getElementById("tampered"), told = document.getElementById("why");
	told.hidden = !changed;
	if (!changed) {
		status.textContent = told.dataset.shown ? words.restored : "";
		return;
	}
	told.dataset.shown = "yes";
	let at = 0;
	while (at < bytes.length && bytes[at] === t.bytes[at]) at++;
	status.textContent = say("tampered", number(at + 1), now.steps.length + 1);
	const lines = [say("why-leaf", short(now.leaf)), say("why-root", short(now.root), short(t.checkpoint.root))];
	lines.push(policy.cosigners.length ? say("why-signed-with", policy.threshold) : words["why-signed"], words["why-seen"]);
	told.replaceChildren(...lines.map(line => {
		const li = document.createElement("li");
		li.textContent = line;
		return li;
	}));
}

const ns = "http://www.w3.org/2000/svg";

function svg(name, attributes, text) {
	const e = document.createElementNS(ns, name);
	for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
	if (text !== undefined) e.textContent = text;
	return e;
}

const wide = 340, high = 66, boxWide = 140, boxHigh = 30, at = { left: 80, right: 260, middle: 170 };

function box(x, y, classes, text, label) {
	const g = svg("g", { class: classes });
	g.append(svg("rect", { x: x - boxWide / 2, y, width: boxWide, height: boxHigh, rx: 6 }), svg("text", { x, y: y + 20 }, text));
	if (label) g.append(svg("text", { x, y: y - 9, class: "label" }, label));
	return g;
}

// draw shows the signed root above, then the root that was computed, and each node on the way below it with the one beside it.
function draw(t, now, honest) {
	const n = now.steps.length, height = (n + 3) * high, fits = proofs.equal(now.root, t.checkpoint.root);
	const picture = svg("svg", { viewBox: `0 0 ${wide} ${height}`, role: "img", "aria-label": say("picture", t.index, n) + " " + words[fits ? "fits" : "fits-not"] });
	const y = level => height - high - (level + 1) * high + 24; // of the node that the path has on a level; the leaf is on level 0
	const x = level => level >= n ? at.middle : at[now.steps[level].side];
	const lines = [], boxes = [];
	const changed = (a, b) => proofs.equal(a, b) ? "" : " changed";
	for (let level = 0; level < n; level++) {
		const s = now.steps[level], other = s.side === "left" ? "right" : "left";
		for (const [side, kind] of [[other, "proof"], [s.side, "path"]]) {
			lines.push(svg("line", { class: kind, x1: at[side], y1: y(level), x2: x(level + 1), y2: y(level + 1) + boxHigh }));
		}
		boxes.push(box(at[other], y(level), "proof", short(s[other])));
	}
	const path = [now.leaf, ...now.steps.map(s => s.parent)], was = [honest.leaf, ...honest.steps.map(s => s.parent)];
	for (let level = 0; level <= n; level++) {
		boxes.push(box(x(level), y(level), "path" + changed(path[level], was[level]), short(path[level]), level === 0 ? words.leaf : ""));
	}
	lines.push(svg("line", { class: "path", x1: x(0), y1: y(0) + boxHigh, x2: x(0), y2: y(-1) }));
	boxes.push(box(x(0), y(-1), "path" + changed(path[0], was[0]), say("entry", t.index)));
	boxes.push(box(at.middle, y(n + 1) + 4, "signed", short(t.checkpoint.root), words["signed-root"]));
	boxes.push(svg("text", { x: at.middle, y: y(n) - 9, class: fits ? "verdict fits" : "verdict fits-not" }, fits ? "=" : "≠"));
	boxes.push(svg("text", { x: at.middle + boxWide / 2 + 8, y: y(n) + 20, class: "label beside" }, words.root));
	picture.append(...lines, ...boxes);
	document.getElementById("tree").replaceChildren(picture);
}

function table(now, honest) {
	const rows = now.steps.map((s, level) => {
		const row = document.createElement("tr");
		for (const text of [String(level + 1), proofs.hex(s.left), proofs.hex(s.right), proofs.hex(s.parent) + (proofs.equal(s.parent, honest.steps[level].parent) ? "" : " ✗")]) {
			const cell = document.createElement("td");
			cell.textContent = text;
			row.append(cell);
		}
		return row;
	});
	document.getElementById("hashes").replaceChildren(...rows);
}

// checkPasted checks an older checkpoint, or a receipt, against the checkpoint of today.
async function checkPasted(text) {
	const steps = document.getElementById("pasted-steps");
	steps.replaceChildren();
	if (!proofs.able() || !current) return step(steps, null, words["not-now"]);
	try {
		if (text.trimStart().startsWith("{")) return await checkReceipt(steps, JSON.parse(text));
		const checkpoint = proofs.parseCheckpoint(text.trimStart().replace(/\s*$/, "\n"));
		if (await signatures(steps, checkpoint)) await grows(steps, checkpoint, current, words.continues);
	} catch (e) {
		step(steps, false, words.unreadable, e.message);
	}
}

async function checkReceipt(steps, receipt) {
	if (!Number.isSafeInteger(receipt.index) || !receipt.checkpoint) throw new Error(words["no-receipt"]);
	const checkpoint = proofs.parseCheckpoint(receipt.checkpoint);
	if (!await signatures(steps, checkpoint)) return;
	const bytes = new Uint8Array(await (await fetched(`${place.dataset.entries.replace(/\?.*/, "")}/${receipt.index}/raw`)).arrayBuffer());
	const same = proofs.equal(await proofs.sha256(bytes), proofs.decode(receipt.digest, true));
	step(steps, same, say("digest", receipt.index));
	const path = (receipt.proof ?? []).map(h => proofs.decode(h));
	const { root } = await proofs.inclusion(await proofs.leafHash(bytes), receipt.index, checkpoint.size, path);
	step(steps, proofs.equal(root, checkpoint.root), say("included", receipt.index), say("included-how", path.length, short(root), proofs.equal(root, checkpoint.root) ? "=" : "≠", short(checkpoint.root)));
	await grows(steps, checkpoint, current, words.continues);
}

document.getElementById("paste").addEventListener("submit", e => {
	e.preventDefault();
	checkPasted(document.getElementById("pasted").value);
});

run();
