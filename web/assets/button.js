// <bulla-button page="…" lang="en">: a button that opens the page of a verification and says how it ended. One file, without dependencies:
//
//	<script type="module" src="https://verify.example/verify/button.js"></script>
//	<bulla-button page="https://verify.example/verify/PAGE" lang="zh-CN"></bulla-button>
//
// The address of the page comes from your server, which started the session; the verifier lists an address of this site in its
// return_uris. The element dispatches "bulla-ended" with detail {state: "verified" | "rejected" | "expired" | "cancelled"}. Anybody can say so: what
// counts is the result that your server fetches.

const words = {
	en: { prove: "Prove with your wallet", open: "Waiting for your wallet …", again: "The page was closed. Open it again" },
	"zh-CN": { prove: "用钱包出示证明", open: "等待您的钱包……", again: "页面已关闭，请重新打开" },
};

const style = `
:host { display: inline-block; }
button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: .55rem 1.2rem; border-radius: .5rem; cursor: pointer;
	border: 1px solid #0b5a7d; background: #0b5a7d; color: #fff; }
button:focus-visible { outline: 3px solid #0b5a7d; outline-offset: 2px; }
@media (prefers-color-scheme: dark) { button { background: #7cc4e4; border-color: #7cc4e4; color: #07222f; } button:focus-visible { outline-color: #7cc4e4; } }
span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }`;

class BullaButton extends HTMLElement {
	static observedAttributes = ["lang"];
	#button = document.createElement("button");
	#status = document.createElement("span");
	#window = null;
	#timer = 0;

	constructor() {
		super();
		this.#button.type = "button";
		this.#button.addEventListener("click", () => this.open());
		this.#status.setAttribute("role", "status");
		const sheet = new CSSStyleSheet(); // unlike a style element it needs no exception in the site's Content-Security-Policy
		sheet.replaceSync(style);
		const shadow = this.attachShadow({ mode: "open", delegatesFocus: true });
		shadow.adoptedStyleSheets = [sheet];
		shadow.append(this.#button, this.#status);
	}

	connectedCallback() {
		window.addEventListener("message", this.#hear);
		this.#say("prove");
	}

	disconnectedCallback() {
		window.removeEventListener("message", this.#hear);
		clearInterval(this.#timer);
	}

	attributeChangedCallback() {
		this.#say("prove");
	}

	// open shows the page, or brings it to the front.
	open() {
		if (this.#window && !this.#window.closed) return this.#window.focus();
		const page = this.#page();
		if (!page) return;
		page.searchParams.set("lang", this.#language());
		this.#window = window.open(page, "_blank", "popup,width=480,height=820");
		if (!this.#window) return location.assign(page); // pop-ups are blocked: go there
		this.#say("open");
		clearInterval(this.#timer);
		this.#timer = setInterval(() => {
			if (!this.#window.closed) return;
			clearInterval(this.#timer);
			this.#say("again");
		}, 1000);
	}

	// hear takes the word of our own page only: its window, its origin, its address.
	#hear = (event) => {
		const page = this.#page();
		if (!page || event.source !== this.#window || event.origin !== page.origin) return;
		const { bulla, page: address, state } = event.data ?? {};
		if (bulla !== "ended" || address !== page.origin + page.pathname || typeof state !== "string") return;
		clearInterval(this.#timer);
		this.#say("prove");
		this.dispatchEvent(new CustomEvent("bulla-ended", { detail: { state }, bubbles: true, composed: true }));
	};

	#page() {
		try {
			const page = new URL(this.getAttribute("page"));
			return page.protocol === "https:" || page.protocol === "http:" ? page : null;
		} catch {
			console.error("bulla-button: page is not the address of a verification's page");
			return null;
		}
	}

	#language() {
		return (this.closest("[lang]")?.lang ?? "en").toLowerCase().startsWith("zh") ? "zh-CN" : "en";
	}

	#say(key) {
		const text = words[this.#language()];
		this.#button.textContent = key === "open" ? text.prove : text[key];
		this.#status.textContent = key === "prove" ? "" : text[key];
	}
}

customElements.define("bulla-button", BullaButton);
