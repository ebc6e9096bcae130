// The wallet's page starts without a network: its two languages and its files are kept, each by its SHA-256, which the server writes above
// as shell. Nothing else is: no answer of a ledger, an agency or a verifier, and nothing of the vault.

const name = "bulla-shell-" + shell.version;
const address = (file) => new URL(file, registration.scope).href;
const files = new Map(Object.entries(shell.files).map(([file, digest]) => [address(file), digest]));

async function digestOf(bytes) {
	const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
	return btoa(String.fromCharCode(...sum)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// keep refuses what is not the file that was named: the version is kept whole or not at all.
async function keep(cache, file, digest) {
	const answer = await fetch(file, { cache: "no-cache" });
	const bytes = await answer.arrayBuffer();
	if (!answer.ok || await digestOf(bytes) !== digest) throw new Error(file + " is not of version " + shell.version);
	await cache.put(file, new Response(bytes, { headers: answer.headers }));
}

addEventListener("install", (event) => event.waitUntil((async () => {
	const cache = await caches.open(name);
	await Promise.all([...files].map(([file, digest]) => keep(cache, file, digest)));
})()));

// A version takes over when no page of the one before is open: such a page finds its own files until then.
addEventListener("activate", (event) => event.waitUntil((async () => {
	for (const other of await caches.keys()) {
		if (other.startsWith("bulla-shell-") && other !== name) await caches.delete(other);
	}
	const large = await caches.open(shell.large.cache);
	const wanted = new Set(shell.large.files.map(address));
	for (const request of await large.keys()) {
		if (!wanted.has(request.url)) await large.delete(request);
	}
})()));

// page is the server's, or what is kept if there is no server to ask.
async function page(request, url) {
	const answer = await fetch(request).catch(() => null);
	if (answer?.ok) return answer;
	const asked = url.searchParams.get("lang") ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en");
	return await caches.match(address("?lang=" + asked), { cacheName: name }) ?? answer ?? Response.error();
}

addEventListener("fetch", (event) => {
	const url = new URL(event.request.url);
	if (event.request.method !== "GET") return;
	if (event.request.mode === "navigate" && url.origin + url.pathname === registration.scope) event.respondWith(page(event.request, url));
	else if (files.has(url.href)) event.respondWith(caches.match(url.href, { cacheName: name }).then((kept) => kept ?? fetch(event.request)));
});
