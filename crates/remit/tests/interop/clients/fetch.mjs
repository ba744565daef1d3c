// Node, Bun, Deno.
const steps = globalThis.Deno?.args ?? process.argv.slice(2);
for (const step of steps) {
  const at = step.indexOf(":");
  const post = step.slice(0, at) === "post";
  try {
    const answer = await fetch(step.slice(at + 1), post ? { method: "POST", body: "a body" } : {});
    console.log(answer.status, (await answer.text()).trim());
  } catch (error) {
    console.log("failed", error.cause?.message ?? error.message);
  }
}
