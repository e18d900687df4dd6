// Serves the built page in a folder that is not the server's root, as any static host may.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../dist/", import.meta.url));
const FOLDER = "/some/folder/";
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

export async function serve() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = normalize(pathname.slice(FOLDER.length)) || ".";
    try {
      if (!pathname.startsWith(FOLDER) || path.startsWith("..")) throw new Error("elsewhere");
      const file = path === "." ? "index.html" : path;
      const body = await readFile(join(ROOT, file));
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((listening) => server.listen(0, "localhost", listening));
  const origin = `http://localhost:${server.address().port}`;
  return { origin, url: origin + FOLDER, close: () => server.close() };
}
