/**
 * The pictures of core/lab/, drawn from the code's own constants, so that they
 * cannot say anything else.
 *
 * @module
 */

import { HEADER_BYTES, writeHeader } from "../../core/frame/frame.ts";
import { RECV_BYTES } from "../../core/raw/receiver.ts";

/** What is written into the pictures. */
export interface Words {
  readonly frame: string;
  readonly length: string;
  readonly type: string;
  readonly stream: string;
  readonly channel: string;
  readonly payload: string;
  readonly bytes: (count: number) => string;
  readonly sent: string;
  readonly received: string;
  readonly framed: string;
  readonly answer: (number: number) => string;
  /** For what the lesson's client prints after that command. */
  readonly shownFor: (command: number) => string;
}

/** In English. */
export const EN: Words = {
  frame: "A frame",
  length: "length",
  type: "type",
  stream: "stream",
  channel: "channel",
  payload: "payload: length bytes",
  bytes: (count) => `${count} bytes`,
  sent: "What the server sends",
  received: `What each recv(${RECV_BYTES}) sees`,
  framed: "The same through frames: a header says where each answer ends",
  answer: (number) => `answer ${number}`,
  shownFor: (command) => `shown for ${command}`,
};

/** 简体中文 */
export const ZH: Words = {
  frame: "一个帧",
  length: "长度",
  type: "类型",
  stream: "流",
  channel: "通道",
  payload: "载荷：长度所说的字节数",
  bytes: (count) => `${count} 字节`,
  sent: "服务器发送的字节",
  received: `每次 recv(${RECV_BYTES}) 看到的`,
  framed: "同样的内容用帧发送：帧头说明每个响应到哪里结束",
  answer: (number) => `第 ${number} 个响应`,
  shownFor: (command) => `命令 ${command} 后打印`,
};

const WIDTH = 720;
const BLUE = "#cfe3ff";
const ORANGE = "#ffe0b8";
const GREY = "#e8e8ec";

/** The layout of a frame, its fields where `writeHeader` puts them. */
export function framePicture(words: Words): string {
  const unit = 46;
  const boxes = fields().map(({ name, offset, size }) =>
    box(
      20 + offset * unit,
      60,
      size * unit,
      GREY,
      words[name],
      size === 1 ? "1" : words.bytes(size),
    )
  );
  const end = 20 + HEADER_BYTES * unit;
  const ticks = Array.from(
    { length: HEADER_BYTES + 1 },
    (_, i) => text(20 + i * unit, 52, String(i), "middle", 11),
  );
  return svg(150, [
    text(20, 28, words.frame, "start", 15),
    ...ticks,
    ...boxes,
    box(end, 60, WIDTH - 20 - end, BLUE, words.payload, ""),
  ]);
}

/** Two answers in a row, as `recv` sees them and as frames carry them. */
export function recvPicture(
  words: Words,
  first: number,
  second: number,
): string {
  // The short answer is drawn wider than it is, so that its words fit.
  const short = 104;
  const unit = (WIDTH - 40 - 2 * GAP - short - 2 * HEADER_WIDTH) / first;
  const long = first * unit;
  const seen = RECV_BYTES * unit;
  const left = first - RECV_BYTES;
  const rest = left * unit;
  const framed = HEADER_WIDTH + long;
  return svg(330, [
    text(20, 28, words.sent, "start", 15),
    box(20, 40, long, BLUE, words.answer(1), words.bytes(first)),
    box(20 + long, 40, short, ORANGE, words.answer(2), words.bytes(second)),
    text(20, 138, words.received, "start", 15),
    box(20, 150, seen, BLUE, words.shownFor(1), words.bytes(RECV_BYTES)),
    box(
      20 + seen + GAP,
      150,
      rest,
      BLUE,
      words.shownFor(2),
      words.bytes(left),
    ),
    box(
      20 + seen + rest + 2 * GAP,
      150,
      short,
      ORANGE,
      words.shownFor(3),
      words.bytes(second),
    ),
    text(20, 248, words.framed, "start", 15),
    box(20, 260, HEADER_WIDTH, GREY, "", String(HEADER_BYTES)),
    box(
      20 + HEADER_WIDTH,
      260,
      long,
      BLUE,
      words.answer(1),
      words.bytes(first),
    ),
    box(20 + framed + GAP, 260, HEADER_WIDTH, GREY, "", String(HEADER_BYTES)),
    box(
      20 + framed + GAP + HEADER_WIDTH,
      260,
      short,
      ORANGE,
      words.answer(2),
      words.bytes(second),
    ),
  ]);
}

const GAP = 12;
const HEADER_WIDTH = 26;

type Field = "length" | "type" | "stream" | "channel";

/** Where each field lies, found by writing a header and looking. */
function fields(): { name: Field; offset: number; size: number }[] {
  const marks = { length: 0x11111111, type: 0x22, stream: 0x33 };
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const payload = { byteLength: marks.length } as Uint8Array;
  const { type, stream } = marks;
  writeHeader(view, 0, { type, stream, channel: 0x44444444, payload });
  const bytes = [...new Uint8Array(view.buffer)];
  const names: Field[] = ["length", "type", "stream", "channel"];
  return names.map((name, i) => {
    const mark = 0x11 * (i + 1);
    const offset = bytes.indexOf(mark);
    return { name, offset, size: bytes.lastIndexOf(mark) - offset + 1 };
  });
}

function box(
  x: number,
  y: number,
  width: number,
  fill: string,
  label: string,
  note: string,
): string {
  const [left, wide, middle] = [x, width, x + width / 2].map(round);
  return [
    `<rect x="${left}" y="${y}" width="${wide}" height="40" fill="${fill}" stroke="#555"/>`,
    text(middle, y + 25, label, "middle", label.length > 18 ? 11 : 13),
    text(middle, y + 58, note, "middle", 11),
  ].join("\n  ");
}

function text(
  x: number,
  y: number,
  words: string,
  anchor: "start" | "middle",
  size: number,
): string {
  return `<text x="${
    round(x)
  }" y="${y}" font-size="${size}" text-anchor="${anchor}">${words}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function svg(height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...parts,
  ].join("\n  ") + "\n</svg>\n";
}
