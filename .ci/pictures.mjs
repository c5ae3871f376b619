// Fails where Mermaid itself can't read a picture in the files that are named.
import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("");
Object.assign(globalThis, { window, document: window.document });
const { default: mermaid } = await import("mermaid");

for (const file of argv.slice(2)) {
  const text = readFileSync(file, "utf8");
  const pictures = [...text.matchAll(/^```mermaid\n([^]*?)^```$/gm)];
  if (pictures.length === 0) throw new Error(`${file} has no pictures`);
  for (const { 1: picture, index } of pictures) {
    await mermaid.parse(picture).catch((error) => {
      throw new Error(`the picture in ${file}, line ${text.slice(0, index).split("\n").length}: ${error.message}`);
    });
  }
  console.log(`${file}: ${pictures.length} pictures`);
}
