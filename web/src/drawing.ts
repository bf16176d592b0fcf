// Draws the lines of a chart: the band from the least to the greatest value of each bucket, the mean
// in it, and marks where there were values that are not finite. Nothing that was logged is invisible.

import { colorOf, dashOf, token } from "./colors";
import { ChartData, Line } from "./chart_data";
import { BANDS_MAX } from "./chart_query";

// A note at a place of x.
export interface NoteMark {
  run: string;
  x: number;
  text: string;
}

export interface Frame {
  context: CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
  left: number; // all in pixels of the canvas
  top: number;
  width: number;
  height: number;
  toX: (x: number) => number;
  toY: (y: number) => number;
  pixel: number; // how many of these a pixel of the page has
  highlighted: string;
  notes: NoteMark[];
  forkSteps: Map<string, number>; // in units of x; what lies before is inherited
}

export function drawLines(frame: Frame, data: ChartData): void {
  const { context } = frame;
  context.save(); // uPlot remembers what it has set, and relies on it
  context.save();
  context.beginPath();
  context.rect(frame.left, frame.top, frame.width, frame.height);
  context.clip();
  const marked = data.lines.filter((line) => line.key === frame.highlighted);
  const isMarked = marked.length > 0;
  if (data.lines.length > BANDS_MAX) drawMany(frame, data, isMarked);
  for (const line of data.lines) {
    if (data.lines.length <= BANDS_MAX && line.key !== frame.highlighted) {
      drawLine(frame, line, data, isMarked ? 0.16 : 1, false);
    }
  }
  for (const line of marked) drawLine(frame, line, data, 1, true);
  context.restore();
  for (const line of data.lines) drawMarks(frame, line, data);
  for (const note of frame.notes) drawNote(frame, note);
  context.restore();
}

// A flag at the top, on a pole down to the floor.
function drawNote(frame: Frame, note: NoteMark): void {
  const { context, pixel, top, height } = frame;
  const x = Math.round(frame.toX(note.x));
  if (x < frame.left || x > frame.left + frame.width) return;
  context.strokeStyle = colorOf(note.run);
  context.fillStyle = colorOf(note.run);
  context.lineWidth = pixel;
  context.globalAlpha = 0.6;
  context.setLineDash([pixel, 3 * pixel]);
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x, top + height);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x + 8 * pixel, top + 3.5 * pixel);
  context.lineTo(x, top + 7 * pixel);
  context.closePath();
  context.fill();
}

// Hundreds of lines are drawn once, and that picture again while one after the other is highlighted.
const pictures = new WeakMap<ChartData, { place: string; picture: OffscreenCanvas }>();

function drawMany(frame: Frame, data: ChartData, isMarked: boolean): void {
  const { left, top, width, height, toX, toY } = frame;
  const colors = data.lines.slice(0, 2).map((line) => colorOf(line.key)).join();
  const place = [width, height, toX(1), toX(2), toY(1), toY(2), colors].join();
  let known = pictures.get(data);
  if (known?.place !== place) {
    const picture = new OffscreenCanvas(Math.max(1, width), Math.max(1, height));
    const context = picture.getContext("2d")!;
    context.translate(-left, -top);
    context.lineJoin = "bevel";
    context.lineWidth = frame.pixel;
    context.globalAlpha = data.lines.length > 150 ? 0.45 : 0.75;
    for (const line of data.lines) {
      context.strokeStyle = colorOf(line.key);
      traceExtremes({ ...frame, context }, line);
      context.stroke();
    }
    known = { place, picture };
    pictures.set(data, known);
  }
  frame.context.globalAlpha = isMarked ? 0.3 : 1;
  frame.context.drawImage(known.picture, left, top);
}

function drawLine(
  frame: Frame,
  line: Line,
  data: ChartData,
  alpha: number,
  isStrong: boolean,
): void {
  const { context, pixel } = frame;
  const color = colorOf(line.key);
  const isOlder = line.label.startsWith(`${line.key}#`); // an attempt before the newest
  context.strokeStyle = color;
  context.fillStyle = color;
  context.lineJoin = "round";
  drawBand(frame, line, alpha * (data.isGrouped ? 0.7 : 1));
  context.globalAlpha = alpha * (isOlder ? 0.6 : 1);
  context.lineWidth = (isStrong ? 2.25 : 1.5) * pixel;
  context.setLineDash((isOlder ? [3, 3] : dashOf(line.key)).map((length) => length * pixel));
  const fork = frame.forkSteps.get(line.key);
  if (fork === undefined) {
    traceMean(frame, line, -Infinity, Infinity);
    context.stroke();
  } else {
    drawForked(frame, line, fork);
  }
  context.setLineDash([]);
  drawDots(frame, line);
}

// What a fork has of its parent is thin and dashed, the place where it left it a ring.
function drawForked(frame: Frame, line: Line, fork: number): void {
  const { context, pixel } = frame;
  traceMean(frame, line, fork, Infinity);
  context.stroke();
  context.save();
  context.setLineDash([2 * pixel, 3 * pixel]);
  context.globalAlpha *= 0.75;
  traceMean(frame, line, -Infinity, fork);
  context.stroke();
  context.restore();
  let at = -1;
  for (let i = 0; i < line.count.length; ++i) {
    if (line.count[i]! > 0 && line.x[i]! <= fork) at = i;
  }
  if (at < 0) return;
  context.save();
  context.setLineDash([]);
  context.fillStyle = token("--card");
  context.beginPath();
  const y = frame.toY((line.smooth ?? line.mean)[at]!);
  context.arc(frame.toX(fork), y, 3.5 * pixel, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.restore();
}

function isHole(line: Line, i: number): boolean {
  return line.count[i] === 0 && line.nan[i]! + line.pinf[i]! + line.ninf[i]! > 0;
}

function traceMean(frame: Frame, line: Line, from: number, to: number): void {
  const { context, toX, toY } = frame;
  const values = line.smooth ?? line.mean;
  let isDown = false;
  let before = -1; // the last point left of the part, with which it is joined
  context.beginPath();
  for (let i = 0; i < values.length; ++i) {
    const x = line.x[i]!;
    if (x > to) break;
    if (isHole(line, i)) [isDown, before] = [false, -1];
    if (!(line.count[i]! > 0) || !Number.isFinite(values[i]!)) continue;
    if (x < from) {
      before = i;
      continue;
    }
    if (!isDown && before >= 0) {
      context.moveTo(toX(line.x[before]!), toY(values[before]!));
      isDown = true;
    }
    if (isDown) context.lineTo(toX(x), toY(values[i]!));
    else context.moveTo(toX(x), toY(values[i]!));
    isDown = true;
  }
}

function drawBand(frame: Frame, line: Line, alpha: number): void {
  const { context, toX, toY, pixel } = frame;
  const runs: number[][] = [[]];
  let isWide = false;
  for (let i = 0; i < line.count.length; ++i) {
    if (isHole(line, i)) runs.push([]);
    if (!(line.count[i]! > 0)) continue;
    runs[runs.length - 1]!.push(i);
    isWide ||= line.min[i]! < line.max[i]! || line.smooth !== null;
  }
  if (!isWide) return;
  const lower = new Path2D();
  const upper = new Path2D();
  const area = new Path2D();
  for (const run of runs) {
    run.forEach((i, place) => {
      const [x, y] = [toX(line.x[i]!), toY(line.max[i]!)];
      if (place === 0) upper.moveTo(x, y), area.moveTo(x, y);
      else upper.lineTo(x, y), area.lineTo(x, y);
    });
    for (let place = run.length - 1; place >= 0; --place) {
      const [x, y] = [toX(line.x[run[place]!]!), toY(line.min[run[place]!]!)];
      if (place === run.length - 1) lower.moveTo(x, y);
      else lower.lineTo(x, y);
      area.lineTo(x, y);
    }
    if (run.length > 0) area.closePath();
  }
  context.globalAlpha = alpha * 0.2;
  context.fill(area);
  // A spike of one point is a pixel wide: its outline is what makes it stand out.
  context.globalAlpha = alpha * (line.smooth ? 0.35 : 0.55);
  context.lineWidth = 0.75 * pixel;
  context.stroke(upper);
  context.stroke(lower);
}

// Up and down through the extremes of each bucket: one line that touches all there is.
function traceExtremes(frame: Frame, line: Line): void {
  const { context, toX, toY } = frame;
  let isDown = false;
  context.beginPath();
  for (let i = 0; i < line.count.length; ++i) {
    if (isHole(line, i)) isDown = false;
    if (!(line.count[i]! > 0)) continue;
    const x = toX(line.x[i]!);
    if (line.smooth) {
      if (isDown) context.lineTo(x, toY(line.smooth[i]!));
      else context.moveTo(x, toY(line.smooth[i]!));
    } else {
      if (isDown) context.lineTo(x, toY(line.min[i]!));
      else context.moveTo(x, toY(line.min[i]!));
      if (line.max[i]! > line.min[i]!) context.lineTo(x, toY(line.max[i]!));
    }
    isDown = true;
  }
}

// Where points stand far apart, each is a dot; so is one that stands alone.
function drawDots(frame: Frame, line: Line): void {
  const { context, toX, toY, pixel } = frame;
  let many = 0;
  for (let i = 0; i < line.count.length; ++i) if (line.count[i]! > 0) ++many;
  const values = line.smooth ?? line.mean;
  const isSparse = many * 14 * pixel < frame.width;
  context.beginPath();
  for (let i = 0; i < values.length; ++i) {
    if (!(line.count[i]! > 0)) continue;
    const isAlone = (i === 0 || isHole(line, i - 1)) && (i + 1 === values.length || isHole(line, i + 1));
    if (!isSparse && !isAlone) continue;
    const [x, y] = [toX(line.x[i]!), toY(values[i]!)];
    context.moveTo(x + 2 * pixel, y);
    context.arc(x, y, 2 * pixel, 0, 2 * Math.PI);
  }
  context.fill();
}

// NaN: crosses on the floor of the chart, and a bar as wide as they reach. Infinities: arrows at the
// side to which they lie.
function drawMarks(frame: Frame, line: Line, data: ChartData): void {
  const { context, pixel, toX } = frame;
  const bottom = frame.top + frame.height;
  let [nanTo, upTo, downTo] = [-Infinity, -Infinity, -Infinity];
  context.strokeStyle = colorOf(line.key);
  context.fillStyle = colorOf(line.key);
  context.lineWidth = 1.75 * pixel;
  for (let i = 0; i < line.nan.length; ++i) {
    if (!(line.nan[i]! > 0 || line.pinf[i]! > 0 || line.ninf[i]! > 0)) continue;
    const isOnGrid = data.lo.length === line.x.length;
    const x = toX(isOnGrid ? (data.lo[i]! + data.hi[i]!) / 2 : line.x[i]!);
    if (x < frame.left - 1 || x > frame.left + frame.width + 1) continue;
    const wide = isOnGrid ? Math.max(pixel, toX(data.hi[i]!) - toX(data.lo[i]!)) : pixel;
    if (line.nan[i]! > 0) {
      context.fillRect(x - wide / 2, bottom - 2 * pixel, wide, 2 * pixel);
      if (x - nanTo >= 14 * pixel) {
        drawCross(context, x, bottom - 6 * pixel, 3.2 * pixel);
        nanTo = x;
      }
    }
    if (line.pinf[i]! > 0 && x - upTo >= 10 * pixel) {
      drawArrow(context, (upTo = x), frame.top + pixel, 5 * pixel);
    }
    if (line.ninf[i]! > 0 && x - downTo >= 10 * pixel) {
      drawArrow(context, (downTo = x), bottom - pixel, -5 * pixel);
    }
  }
}

function drawCross(context: Frame["context"], x: number, y: number, size: number): void {
  context.globalAlpha = 1;
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  context.stroke();
}

function drawArrow(context: Frame["context"], x: number, tip: number, size: number): void {
  context.globalAlpha = 1;
  context.beginPath();
  context.moveTo(x, tip);
  context.lineTo(x - size * 0.8, tip + size * 1.4);
  context.lineTo(x + size * 0.8, tip + size * 1.4);
  context.closePath();
  context.fill();
}
