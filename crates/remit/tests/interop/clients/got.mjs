import got from "got";

const http2 = process.argv[2] === "2";
for (const step of process.argv.slice(3)) {
  const at = step.indexOf(":");
  const own = step.slice(0, at) === "post" ? { method: "POST", body: "a body" } : {};
  try {
    const answer = await got(step.slice(at + 1), { http2, throwHttpErrors: false, retry: { limit: 0 }, ...own });
    console.log(answer.statusCode, answer.body.trim());
  } catch (error) {
    console.log("failed", error.message);
  }
}
