// Reading QR codes, from the camera or from a picture. A worker of its own reads: it has nothing of the wallet, and ends with the view.

import { t, el } from "./view.js";

const longest = 1280; // pixels of a picture's longer side
const sizes = [1, 0.8, 1.25]; // of that or less, in turns: what cannot be read at one size often can at another
const pause = 100; // milliseconds between pictures

class Reader {
	#worker;
	#ready;
	#canvas = document.createElement("canvas");
	#turn = 0;
	#last;

	constructor(config) {
		this.#worker = new Worker(config.files["worker.js"]);
		this.#ready = this.#answer((data) => { if (!data.ready) throw new Error(data.broken); });
		this.#last = this.#ready.catch(() => {}); // it is looked at with the first picture
		this.#worker.postMessage({ scan: config });
	}

	// #answer is what the worker says next.
	#answer(read) {
		return new Promise((resolve, reject) => {
			this.#worker.onmessage = ({ data }) => {
				try {
					resolve(read(data));
				} catch (error) {
					reject(error);
				}
			};
			this.#worker.onerror = (event) => reject(new Error(event.message));
		});
	}

	// read is what the code in a picture says, or null. The picture is a video or an image, of width by height pixels.
	read(picture, width, height) {
		const answer = this.#last.then(() => this.#read(picture, width, height));
		this.#last = answer.catch(() => {});
		return answer;
	}

	async #read(picture, width, height) {
		await this.#ready;
		const scale = Math.min(1, longest / Math.max(width, height)) * sizes[this.#turn++ % sizes.length];
		this.#canvas.width = Math.max(1, Math.round(width * scale));
		this.#canvas.height = Math.max(1, Math.round(height * scale));
		const context = this.#canvas.getContext("2d", { willReadFrequently: true });
		context.fillStyle = "#fff"; // where a picture is transparent
		context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
		context.drawImage(picture, 0, 0, this.#canvas.width, this.#canvas.height);
		const { data } = context.getImageData(0, 0, this.#canvas.width, this.#canvas.height);
		const answer = this.#answer((message) => message.text);
		this.#worker.postMessage({ picture: data, width: this.#canvas.width, height: this.#canvas.height }, [data.buffer]);
		return answer;
	}

	end() { this.#worker.terminate(); }
}

// scanner has the content of a view, a promise of what a code says that fits, and the end of it all.
export function scanner(config, fits) {
	const reader = new Reader(config);
	const video = el("video", { muted: true, playsinline: true, hidden: true, "aria-label": t("scan.camera") });
	const says = el("p", { role: "status" }, t("scan.wait"));
	const file = el("input", { id: "picture", type: "file", accept: "image/*" });
	const content = el("div", {}, video, says, el("p", { class: "field" }, el("label", { for: "picture" }, t("scan.picture")), file));
	const say = (key) => { if (says.textContent !== t(key)) says.textContent = t(key); }; // what is said again is read out again
	let stream, ended = false;
	const end = () => {
		ended = true;
		stream?.getTracks().forEach((track) => track.stop());
		reader.end();
	};

	const found = new Promise((resolve, reject) => {
		const take = (text) => {
			if (text !== null && fits(text)) return resolve(text);
			if (text !== null) say("scan.other");
		};
		file.addEventListener("change", async () => {
			if (!file.files[0]) return;
			say("scan.reading");
			const text = await fromPicture(reader, file.files[0]).catch(() => null);
			if (text === null) say("scan.none");
			take(text);
		});
		const watch = async () => {
			stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 }, height: { ideal: 720 } } });
			if (ended) return end(); // the person went on before they allowed it
			video.srcObject = stream;
			video.hidden = false;
			await video.play();
			say("scan.hold");
			while (!ended) {
				take(await reader.read(video, video.videoWidth, video.videoHeight));
				await new Promise((done) => setTimeout(done, pause));
			}
		};
		watch().catch((error) => {
			if (ended) return;
			if (navigator.mediaDevices && !(error instanceof DOMException)) return reject(error);
			say("scan.no-camera"); // none, or it may not be used: a picture may do
		});
	});
	return { content, found, end };
}

// fromPicture tries a picture at each size.
async function fromPicture(reader, file) {
	const image = await createImageBitmap(file);
	try {
		for (const _ of sizes) {
			const text = await reader.read(image, image.width, image.height);
			if (text !== null) return text;
		}
		return null;
	} finally {
		image.close();
	}
}
