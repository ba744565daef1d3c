import axios from "axios";

const client = axios.create({ responseType: "text", validateStatus: () => true });
for (const step of process.argv.slice(2)) {
  const at = step.indexOf(":");
  const url = step.slice(at + 1);
  try {
    const post = step.slice(0, at) === "post";
    const answer = await (post ? client.post(url, "a body") : client.get(url));
    console.log(answer.status, String(answer.data).trim());
  } catch (error) {
    console.log("failed", error.message);
  }
}
