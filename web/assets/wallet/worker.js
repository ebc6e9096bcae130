// The wallet runs here, in Go. The page posts {start: config} once, then {id, method, language, params}; it gets {ready}, {id, progress} and
// {id, result} or {id, failed}. Secrets stay here: ending the worker locks the wallet. Two other kinds of worker have the same script: helpers, and
// the reader of codes, {scan: config}, which gets {picture, width, height} and answers {text}, null where it finds no code.

const database = "bulla-wallet", table = "vault", row = "vault", passkeyRow = "passkey";
const keyCache = "bulla-keys";
const patience = 10000; // milliseconds until a database that does not open is an error

function opened() {
	return new Promise((resolve, reject) => {
		const request = indexedDB.open(database, 1);
		const late = setTimeout(() => reject(new Error("the browser's storage does not open")), patience);
		request.onupgradeneeded = () => request.result.createObjectStore(table);
		request.onsuccess = () => { clearTimeout(late); resolve(request.result); };
		request.onerror = () => { clearTimeout(late); reject(request.error); };
	});
}

function same(a, b) {
	return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

// load is the vault's encrypted bytes, or null.
async function load() {
	const db = await opened();
	try {
		return await new Promise((resolve, reject) => {
			const request = db.transaction(table).objectStore(table).get(row);
			request.onsuccess = () => resolve(request.result ?? null);
			request.onerror = () => reject(request.error);
		});
	} finally {
		db.close();
	}
}

// save replaces the bytes if they are still old, in one transaction that is on disk when it ends.
async function save(old, data) {
	const db = await opened();
	try {
		return await new Promise((resolve, reject) => {
			const transaction = db.transaction(table, "readwrite", { durability: "strict" });
			const rows = transaction.objectStore(table);
			let replaced = false;
			const request = rows.get(row);
			request.onsuccess = () => {
				const there = request.result ?? null;
				replaced = there === null || old === null ? there === old : same(there, old);
				if (replaced) rows.put(data, row);
			};
			transaction.oncomplete = () => resolve(replaced);
			transaction.onabort = () => reject(transaction.error ?? new Error("the browser did not keep the wallet: is its storage full?"));
		});
	} finally {
		db.close();
	}
}

// row of the passkey: which it is, and the seal that its key opens. No secret: the key is the authenticator's.
async function passkey(mode, change) {
	const db = await opened();
	try {
		return await new Promise((resolve, reject) => {
			const transaction = db.transaction(table, mode);
			const request = change(transaction.objectStore(table));
			transaction.oncomplete = () => resolve(request.result ?? null);
			transaction.onabort = () => reject(transaction.error);
		});
	} finally {
		db.close();
	}
}

const passkeys = {
	"passkey.load": () => passkey("readonly", (rows) => rows.get(passkeyRow)),
	"passkey.save": (kept) => passkey("readwrite", (rows) => rows.put(kept, passkeyRow)),
	"passkey.drop": () => passkey("readwrite", (rows) => rows.delete(passkeyRow)),
};

// bytesAt fetches a file once. What it has is checked by who asked; fresh throws away what was kept.
async function bytesAt(address, fresh) {
	const cache = self.caches ? await caches.open(keyCache) : null;
	if (fresh) await cache?.delete(address);
	let answer = await cache?.match(address);
	if (!answer) {
		answer = await fetch(address, { cache: fresh ? "reload" : "default" });
		if (!answer.ok) throw new Error("the file " + address.split("?")[0] + " cannot be had: " + answer.status);
		await cache?.put(address, answer.clone());
	}
	return new Uint8Array(await answer.arrayBuffer());
}

// compiled is a program as WebAssembly, if its SHA-256 is the one that the page names.
async function compiled(name, config) {
	for (const fresh of [false, true]) {
		const bytes = await bytesAt(config.files[name], fresh);
		const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
		const digest = btoa(String.fromCharCode(...sum)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
		if (digest === config.programs[name]) return await WebAssembly.compile(bytes);
	}
	throw new Error(name + " is not the one that this page names: load the page again");
}

// run starts a program, which finds what only a browser can do as bullaHost, and waits until it is ready.
async function run(glue, module, host) {
	importScripts(glue);
	const go = new Go();
	const instance = await WebAssembly.instantiate(module, go.importObject);
	await new Promise((resolve, reject) => {
		self.bullaHost = { ...host, ready: resolve, failed: (text) => reject(new Error(text)) };
		go.run(instance).then(() => {
			reject(new Error("a program has ended"));
			postMessage({ broken: "the wallet's program has ended" });
		});
	});
}

// ---- helpers: workers of this worker that compute parts of proofs. They have the program and proving keys, get a proof's secrets with each
// request, and end with this worker.

const mostHelpers = 3; // each takes some 100 MB
const helperPatience = 60000; // milliseconds for one answer

let crew = [], serial = 0;

// hire starts helpers with the program that was checked. Where a worker cannot start workers there are none.
function hire(config, module) {
	const count = config.helpers ?? Math.min(mostHelpers, (navigator.hardwareConcurrency || 1) - 1);
	try {
		while (crew.length < count) crew.push(helperOf(config, module));
	} catch (error) {
		console.info("the wallet proves without helpers: " + error.message);
	}
}

function helperOf(config, module) {
	const helper = { worker: new Worker(config.files["worker.js"]), waiting: new Map(), loaded: new Set() };
	helper.worker.onmessage = ({ data }) => {
		if (data.loaded) return helper.loaded.add(data.loaded);
		const settle = helper.waiting.get(data.id);
		if (data.failed !== undefined) return settle ? settle.reject(new Error(data.failed)) : dismiss(helper, data.failed);
		settle?.resolve(data.answer);
	};
	helper.worker.onerror = (event) => dismiss(helper, event.message);
	helper.worker.postMessage({ help: { glue: config.files["wasm_exec.js"], module } });
	return helper;
}

// loaded are the helpers that have a circuit's key. One that is not so far yet is not waited for.
function loaded(circuit) {
	return crew.filter((helper) => helper.loaded.has(circuit));
}

// compute is a promise of what a helper answers; it ends in any case.
function compute(index, circuit, request) {
	const helper = loaded(circuit)[index];
	if (!helper) return Promise.reject(new Error("there is no such helper any longer"));
	const id = ++serial;
	const answer = new Promise((resolve, reject) => {
		helper.waiting.set(id, { resolve, reject });
		setTimeout(() => helper.waiting.has(id) && dismiss(helper, "a helper did not answer"), helperPatience);
	}).finally(() => helper.waiting.delete(id));
	answer.catch(() => {}); // it is looked at later
	helper.worker.postMessage({ id, circuit, request }, [request.buffer]);
	return answer;
}

// helping is a helper's program once it runs; assist is what it does then.
let helping = null;

async function assist({ id, circuit, digest, file, request }) {
	try {
		await helping;
		const answer = file ? self.bullaLoad(circuit, digest, file) : self.bullaCompute(circuit, request);
		if (typeof answer === "string") throw new Error(answer);
		if (file) postMessage({ loaded: circuit });
		else postMessage({ id, answer }, [answer.buffer]);
	} catch (error) {
		postMessage({ id, failed: error.message });
	}
}

// ---- the wallet

async function start(config) {
	const module = await compiled("wallet.wasm", config);
	await run(config.files["wasm_exec.js"], module, {
		config: JSON.stringify({ profile: config.profile, keys: config.keys, work_factor: config.workFactor ?? 0 }),
		load, save,
		fetchKey: (file, fresh) => bytesAt("keys/" + file, fresh),
		help: (circuit, digest, file) => {
			if (!crew.length) hire(config, module);
			for (const { worker } of crew) worker.postMessage({ circuit, digest, file });
		},
		helpers: (circuit) => loaded(circuit).length,
		compute,
		tell: (id, stage, done, total) => postMessage({ id, progress: { stage, done, total } }),
	});
	postMessage({ ready: true });
}

// scan reads codes in pictures, in a worker that has nothing of the wallet.
async function scan(config) {
	await run(config.files["wasm_exec.js"], await compiled("scan.wasm", config), {});
	postMessage({ ready: true });
}

self.onmessage = async ({ data }) => {
	try {
		if (data.help) return helping = run(data.help.glue, data.help.module, { helper: true });
		if (helping) return assist(data);
		if (data.start) return await start(data.start);
		if (data.scan) return await scan(data.scan);
		if (data.picture) return postMessage({ text: self.bullaScan(data.picture, data.width, data.height) });
		if (passkeys[data.method]) return postMessage({ id: data.id, result: await passkeys[data.method](data.params) });
		const answer = JSON.parse(await self.bullaCall(data.id, data.method, data.language, JSON.stringify(data.params ?? {})));
		postMessage({ id: data.id, ...answer });
	} catch (error) {
		if (data.id === undefined) return postMessage({ broken: error.message });
		postMessage({ id: data.id, failed: { code: "other", text: error.message } });
	}
};
