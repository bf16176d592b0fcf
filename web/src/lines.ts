// Lines of a response as they come.

export async function readLines(response: Response, take: (line: string) => void): Promise<void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const text = decoder.decode(value, { stream: true });
    let begin = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", begin)) {
      pieces.push(text.slice(begin, end));
      const line = pieces.join("");
      pieces = [];
      begin = end + 1;
      if (line.trim() !== "") take(line);
    }
    pieces.push(text.slice(begin));
  }
  const rest = pieces.join("");
  if (rest.trim() !== "") take(rest);
}
