import http2 from "node:http2";

for (const step of process.argv.slice(2)) {
  const at = step.indexOf(":");
  const post = step.slice(0, at) === "post";
  const url = new URL(step.slice(at + 1));
  await new Promise((done) => {
    const session = http2.connect(url.origin);
    const failed = (error) => done(console.log("failed", error.message));
    session.on("error", failed);
    const stream = session.request({ ":path": url.pathname, ":method": post ? "POST" : "GET" });
    let status;
    let text = "";
    stream.on("response", (headers) => (status = headers[":status"]));
    stream.on("data", (part) => (text += part));
    stream.on("error", () => {});
    stream.on("end", () => {
      session.close();
      if (status) done(console.log(status, text.trim()));
    });
    stream.end(post ? "a body" : undefined);
  });
}
