// Clients as their own documentation uses them. / tells what each got from the two sites.
import http from "node:http";
import https from "node:https";
import axios from "axios";
import got from "got";
import nodeFetch from "node-fetch";
import superagent from "superagent";
import { Agent, fetch as undiciFetch, request } from "undici";
import { WebSocket as WS } from "ws";

const plain = "http://plain.example:8080", secure = "https://secure.example";

const collect = async (stream) => {
  let all = "";
  for await (const chunk of stream) all += chunk;
  return all;
};
const socket = (url) =>
  new Promise((resolve, reject) => {
    const ws = new WS(url);
    ws.on("open", () => ws.send("hello"));
    ws.on("message", (m) => (ws.close(), resolve(String(m))));
    ws.on("error", reject);
  });

const clients = {
  "node:http": () => new Promise((ok, no) => http.get(plain + "/node", (r) => collect(r).then(ok, no)).on("error", no)),
  "node:https": () => new Promise((ok, no) => https.get(secure + "/node", (r) => collect(r).then(ok, no)).on("error", no)),
  "axios": async () => (await axios.post(secure + "/axios", { a: 1 }, { params: { q: "x y" }, adapter: "http" })).data,
  "axios, plain": async () => (await axios.get(plain + "/axios", { adapter: "http" })).data,
  "axios, redirected": async () => (await axios.get(plain + "/redirect?to=" + secure + "/after", { adapter: "http" })).data,
  "axios, two at once": async () => {
    const agent = new https.Agent({ keepAlive: true, maxSockets: 2 });
    const all = await Promise.all([1, 2, 3].map((n) => axios.get(`${secure}/n${n}`, { httpsAgent: agent, adapter: "http" })));
    return all.map((r) => r.data).join("; ");
  },
  "got": () => got(secure + "/got", { retry: { limit: 0 } }).text(),
  "got, JSON": () => got.post(plain + "/got", { json: { a: 1 }, retry: { limit: 0 } }).text(),
  "got, HTTP/2 where there is": () => got(secure + "/got2", { http2: true, retry: { limit: 0 } }).text(),
  "node-fetch": async () => (await nodeFetch(secure + "/nf", { method: "PUT", body: "text" })).text(),
  "superagent": async () => (await superagent.get(secure + "/sa").buffer(true)).text,
  "undici request": async () => (await request(secure + "/u")).body.text(),
  "undici fetch": async () => (await undiciFetch(plain + "/uf", { method: "POST", body: "text" })).text(),
  "undici, an agent": async () => (await undiciFetch(secure + "/ua", { dispatcher: new Agent({ connections: 1, pipelining: 1 }) })).text(),
  "ws": () => socket("ws://plain.example:8080/ws"),
  "ws, secure": () => socket("wss://secure.example/ws"),
  "fetch": async () => (await fetch(secure + "/deno")).text(),

  "not granted: axios": () => axios.get("https://other.example/", { adapter: "http" }),
  "not granted: got": () => got("https://other.example/", { retry: { limit: 0 } }).text(),
  "not granted: undici": () => request("https://other.example/"),
  "not granted: redirected": () => axios.get(plain + "/redirect?to=https://other.example/", { adapter: "http" }),
};

export default {
  async fetch() {
    const results = {};
    await Promise.all(Object.keys(clients).map(async (name) => {
      try {
        results[name] = "got " + await clients[name]();
      } catch (e) {
        results[name] = "error " + (e.cause?.message ?? e.message);
      }
    }));
    return Response.json(results);
  },
};
