// The standard WebSocket of Bun and Deno.
const urls = globalThis.Deno?.args ?? process.argv.slice(2);
for (const url of urls) {
  await new Promise((done) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const got = [];
    socket.onopen = () => {
      socket.send("a text");
      socket.send(new Uint8Array(300000));
    };
    socket.onmessage = ({ data }) => {
      got.push(data);
      if (got.length === 2) {
        console.log("open", got[0], got[1].byteLength);
        socket.close();
      }
    };
    socket.onerror = () => done(console.log("failed"));
    socket.onclose = () => done();
  });
}
