import { Agent, request } from "undici";

const dispatcher = new Agent({ allowH2: process.argv[2] === "2" });
for (const step of process.argv.slice(3)) {
  const at = step.indexOf(":");
  const options = step.slice(0, at) === "post" ? { method: "POST", body: "a body" } : {};
  try {
    const answer = await request(step.slice(at + 1), { dispatcher, ...options });
    console.log(answer.statusCode, (await answer.body.text()).trim());
  } catch (error) {
    console.log("failed", error.message);
  }
}
await dispatcher.close();
