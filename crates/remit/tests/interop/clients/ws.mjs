import WebSocket from "ws";

for (const url of process.argv.slice(2)) {
  await new Promise((done) => {
    const socket = new WebSocket(url);
    const got = [];
    socket.on("open", () => {
      socket.send("a text");
      socket.send(Buffer.alloc(300000, "x"));
    });
    socket.on("message", (data) => {
      got.push(data);
      if (got.length === 2) {
        console.log("open", String(got[0]), got[1].length);
        socket.close();
      }
    });
    socket.on("unexpected-response", (_, answer) => {
      let text = "";
      answer.on("data", (part) => (text += part));
      answer.on("end", () => done(console.log(answer.statusCode, text.trim())));
    });
    socket.on("error", (error) => done(console.log("failed", error.message)));
    socket.on("close", () => done());
  });
}
// The refused one's connection is kept for requests to come.
process.exit(0);
