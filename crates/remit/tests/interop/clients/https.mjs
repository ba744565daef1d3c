import https from "node:https";

for (const step of process.argv.slice(2)) {
  const at = step.indexOf(":");
  const post = step.slice(0, at) === "post";
  await new Promise((done) => {
    const request = https.request(step.slice(at + 1), { method: post ? "POST" : "GET" }, (answer) => {
      let text = "";
      answer.on("data", (part) => (text += part));
      answer.on("end", () => done(console.log(answer.statusCode, text.trim())));
    });
    request.on("error", (error) => done(console.log("failed", error.message)));
    request.end(post ? "a body" : undefined);
  });
}
