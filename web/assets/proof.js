// Proofs of a log, recomputed: inclusion and consistency (RFC 9162, 2.1.3.2 and 2.1.4.2, whose hashes are those of RFC 6962), and the
// signatures on its checkpoints (C2SP tlog-checkpoint and tlog-cosignature). Nothing here asks anybody or believes what it is given. Hashes
// are Uint8Arrays of 32 bytes, indexes and sizes are numbers below 2^53.

const encoder = new TextEncoder();

// able tells whether the browser lends its hash functions to this page: it does over https and on this machine.
export const able = () => Boolean(globalThis.crypto?.subtle);

export function join(...parts) {
	const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	let at = 0;
	for (const p of parts) {
		out.set(p, at);
		at += p.length;
	}
	return out;
}

export const sha256 = async bytes => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
export const leafHash = bytes => sha256(join([0], bytes));
export const nodeHash = (left, right) => sha256(join([1], left, right));
export const equal = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
export const hex = bytes => Array.from(bytes, b => b.toString(16).padStart(2, "0")).join("");

// decode reads base64, in the alphabet that is named, strictly: one spelling for each value.
export function decode(text, url = false) {
	if (typeof text !== "string" || !(url ? /^[A-Za-z0-9_-]*$/ : /^[A-Za-z0-9+/]*={0,2}$/).test(text)) throw new Error("not base64");
	const standard = url ? text.replaceAll("-", "+").replaceAll("_", "/") : text;
	const binary = atob(standard);
	const again = btoa(binary);
	if ((url ? again.replace(/=+$/, "") : again) !== standard) throw new Error("not canonical base64");
	return Uint8Array.from(binary, c => c.charCodeAt(0));
}

function hashes(list) {
	if (!Array.isArray(list) || list.length > 64) throw new Error("not a proof");
	for (const h of list) if (h.length !== 32) throw new Error("a hash has 32 bytes");
	return list;
}

function number(n) {
	if (!Number.isSafeInteger(n) || n < 0) throw new Error("not a number of an entry");
	return BigInt(n);
}

// inclusion recomputes the root of a tree of that size from a leaf's hash and its proof, leaf first. steps are the nodes on the way:
// {left, right, parent, side}, where side is that of the path.
export async function inclusion(leaf, index, size, proof) {
	let fn = number(index), sn = number(size) - 1n;
	if (fn > sn) throw new Error("the entry is not in a tree of that size");
	let root = leaf;
	const steps = [];
	for (const p of hashes(proof)) {
		if (sn === 0n) throw new Error("the proof is too long");
		const right = (fn & 1n) === 1n || fn === sn;
		const [a, b] = right ? [p, root] : [root, p];
		root = await nodeHash(a, b);
		steps.push({ left: a, right: b, parent: root, side: right ? "right" : "left" });
		if (right) while ((fn & 1n) === 0n && fn !== 0n) fn >>= 1n, sn >>= 1n;
		fn >>= 1n;
		sn >>= 1n;
	}
	if (sn !== 0n) throw new Error("the proof is too short");
	return { root, steps };
}

// consistent tells whether the log of one size and root begins with that of a smaller one.
export async function consistent(oldSize, oldRoot, size, root, proof) {
	const older = number(oldSize), newer = number(size);
	if (older === 0n || older > newer) throw new Error("sizes are not in order");
	let path = hashes(proof);
	if (older === newer) return path.length === 0 && equal(oldRoot, root);
	if ((older & (older - 1n)) === 0n) path = [oldRoot, ...path];
	if (path.length === 0) return false;
	let fn = older - 1n, sn = newer - 1n;
	while ((fn & 1n) === 1n) fn >>= 1n, sn >>= 1n;
	let a = path[0], b = path[0];
	for (const c of path.slice(1)) {
		if (sn === 0n) return false;
		if ((fn & 1n) === 1n || fn === sn) {
			a = await nodeHash(c, a);
			b = await nodeHash(c, b);
			while ((fn & 1n) === 0n && fn !== 0n) fn >>= 1n, sn >>= 1n;
		} else {
			b = await nodeHash(b, c);
		}
		fn >>= 1n;
		sn >>= 1n;
	}
	return sn === 0n && equal(a, oldRoot) && equal(b, root);
}

// parseCheckpoint reads a signed note: three lines, an empty one, and signatures.
export function parseCheckpoint(note) {
	if (typeof note !== "string" || note.length > 65536) throw new Error("not a checkpoint");
	const cut = note.indexOf("\n\n");
	const body = note.slice(0, cut + 1);
	const lines = body.split("\n");
	if (cut < 0 || !note.endsWith("\n") || lines.length !== 4 || lines[0] === "" || !/^[1-9][0-9]{0,15}$/.test(lines[1])) throw new Error("not a checkpoint");
	const size = Number(lines[1]), root = decode(lines[2]);
	number(size);
	if (root.length !== 32) throw new Error("a root has 32 bytes");
	const signatures = note.slice(cut + 2, -1).split("\n").map(line => {
		const found = /^— (\S+) (\S+)$/.exec(line);
		if (!found) throw new Error("not a signature line");
		const bytes = decode(found[2]);
		return { name: found[1], id: bytes.slice(0, 4), bytes: bytes.slice(4) };
	});
	return { note, body, origin: lines[0], size, root, signatures };
}

const Ed25519 = 1, cosignature = 4; // types of keys

// parseKey reads a verifier key as notes have it, name+id+key, and recomputes the id.
export async function parseKey(text) {
	const found = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text);
	if (!found) throw new Error("not a key");
	const key = decode(found[3]);
	if (key.length !== 33 || (key[0] !== Ed25519 && key[0] !== cosignature)) throw new Error("not an Ed25519 key");
	const id = (await sha256(join(encoder.encode(found[1] + "\n"), key))).slice(0, 4);
	if (hex(id) !== found[2]) throw new Error("the key's id is of another key");
	return { name: found[1], id, type: key[0], key: key.slice(1) };
}

// signed tells whether a checkpoint has a good signature of a key: true, false, or null if the browser cannot check signatures.
export async function signed(checkpoint, key) {
	const own = checkpoint.signatures.filter(s => s.name === key.name && equal(s.id, key.id));
	if (own.length !== 1) return false;
	let message = checkpoint.body, bytes = own[0].bytes;
	if (key.type === cosignature) {
		if (bytes.length !== 72) return false;
		const time = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
		message = `cosignature/v1\ntime ${time}\n${message}`;
		bytes = bytes.slice(8);
	}
	if (bytes.length !== 64) return false;
	let imported;
	try {
		imported = await crypto.subtle.importKey("raw", key.key, { name: "Ed25519" }, false, ["verify"]);
	} catch (e) {
		if (e.name === "NotSupportedError") return null;
		return false;
	}
	return crypto.subtle.verify({ name: "Ed25519" }, imported, bytes, encoder.encode(message));
}

// judge holds a checkpoint to a policy: the log's signature, and those of a threshold of cosigners. log and enough are true, false or null.
export async function judge(checkpoint, policy) {
	const logKey = await parseKey(policy.logKey);
	let log = checkpoint.origin === logKey.name ? await signed(checkpoint, logKey) : false;
	if (logKey.type !== Ed25519) log = false;
	let good = 0, unknown = 0;
	for (const text of policy.cosigners) {
		const key = await parseKey(text);
		const result = key.type === cosignature ? await signed(checkpoint, key) : false;
		if (result === null) unknown++;
		else if (result) good++;
	}
	const enough = good >= policy.threshold ? true : good + unknown >= policy.threshold ? null : false;
	return { log, good, enough };
}
