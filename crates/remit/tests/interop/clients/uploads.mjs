import https from "node:https";
import { Readable } from "node:stream";

const host = process.argv[2];
const parts = Array.from({ length: 50 }, (_, n) => `part ${n};`);

async function upload(path, body) {
  try {
    const answer = await fetch(`https://${host}${path}`, { method: "POST", body, duplex: "half" });
    return [answer.status, answer.headers.get("remit-reason"), await answer.text()];
  } catch (error) {
    return ["failed", error.cause?.message ?? error.message];
  }
}

const [status, , text] = await upload("/echo", Readable.from(parts.map((part) => Buffer.from(part))));
console.log("chunked", status, JSON.parse(text).body === parts.join(""));
console.log("refused, large", ...(await upload("/refused", Buffer.alloc(20_000_000))).slice(0, 2));

// Waits for `100 Continue` before it sends.
function expecting(path) {
  return new Promise((done) => {
    let asked = false;
    const headers = { expect: "100-continue", "content-length": 6 };
    const request = https.request({ host, path, method: "PUT", headers }, (answer) => {
      answer.resume();
      answer.on("end", () => done([answer.statusCode, asked]));
    });
    request.on("continue", () => {
      asked = true;
      request.end("a body");
    });
    request.on("error", (error) => done(["failed", error.message]));
    request.flushHeaders();
  });
}
console.log("expecting", ...(await expecting("/echo")));
console.log("refused, expecting", ...(await expecting("/refused")));

// Events come one by one, not all at the end.
const answer = await fetch(`https://${host}/sse`);
const times = [];
for await (const _ of answer.body) times.push(performance.now());
console.log("events one by one", times.length >= 5 && times.at(-1) - times[0] > 100);
process.exit(0);
