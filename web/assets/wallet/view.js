// Small helpers of the wallet's page: words, elements, codes. Text is always set as text, never as HTML.

const texts = JSON.parse(document.getElementById("texts").textContent);
let language = document.documentElement.lang === "zh-CN" ? "zh-CN" : "en";

export function speaks() { return language; }

export function speak(wanted) {
	language = wanted;
	document.documentElement.lang = wanted;
}

// t is the text of a key, with its parts put in for {0}, {1}, …
export function t(key, ...parts) {
	const text = texts[key]?.[language] ?? key;
	return text.replace(/\{(\d)\}/g, (_, n) => parts[Number(n)] ?? "");
}

// has tells whether there is a text.
export function has(key) { return key in texts; }

// said is what a role says, in the page's language.
export function said(text) { return text?.[language] ?? text?.["zh-CN"] ?? text?.en ?? ""; }

// el makes an element: attributes, then children; on… are listeners.
export function el(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
		else if (value === true) element.setAttribute(key, "");
		else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
	}
	element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
	return element;
}

// day is a date or a time, as the language writes it.
export function moment(seconds) {
	return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(seconds * 1000));
}

// field is an input with its label and, where something is wrong, what.
export function field(id, label, attributes = {}) {
	return el("p", { class: "field" }, el("label", { for: id }, label), el("input", { id, name: id, ...attributes }));
}
