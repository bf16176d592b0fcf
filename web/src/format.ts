// Numbers, times and spans as people read them.

export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  }
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(4).replace(/\.?0+e/, "e");
  if (Number.isInteger(value)) return value.toLocaleString("en-US").replaceAll(",", " ");
  return String(Number(value.toPrecision(6)));
}

export function formatAxis(exact: number): string {
  const value = Number(exact.toPrecision(8)); // 0.30000000000000004 is 0.3 on an axis
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e15) return value.toExponential().replace("e+", "e");
  for (const [unit, word] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e4, "k"]] as const) {
    if (size >= unit) return `${Number((value / (word === "k" ? 1e3 : unit)).toPrecision(6))}${word}`;
  }
  return String(value);
}

export function formatTime(microseconds: number): string {
  const date = new Date(microseconds / 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

// Marks of a time axis, `step` seconds apart: the day where it changes.
export function formatTicks(seconds: number[], step: number): string[] {
  let day = "";
  return seconds.map((second) => {
    const text = formatTime(second * 1e6);
    const isOtherDay = text.slice(0, 10) !== day;
    day = text.slice(0, 10);
    if (step >= 86400) return text.slice(5, 10);
    const clock = step >= 60 ? text.slice(11, 16) : text.slice(11);
    return isOtherDay ? `${text.slice(5, 10)} ${clock}` : clock;
  });
}

export function formatAge(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function formatSpan(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 60) return `${Number(seconds.toPrecision(4))} s`;
  const sign = seconds < 0 ? "-" : "";
  const hours = Math.floor(size / 3600);
  const minutes = Math.floor((size % 3600) / 60);
  if (hours >= 48) return `${sign}${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours > 0) return `${sign}${hours} h ${minutes} min`;
  return `${sign}${minutes} min ${Math.floor(size % 60)} s`;
}

export function count(many: number, one: string, more = `${one}s`): string {
  return `${many.toLocaleString("en-US").replaceAll(",", " ")} ${many === 1 ? one : more}`;
}
