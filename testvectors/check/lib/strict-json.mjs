// A JSON reader that refuses what doc/spec/encodings.md has refused: duplicate keys, lone surrogates, U+FFFD, text not in
// NFC, integers beyond 2^53 - 1, invalid UTF-8. JSON.parse would let all of that pass.
export function parseJSON(bytes, demand) {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    demand(false, 'invalid UTF-8')
  }
  let at = 0
  const space = () => { while (at < text.length && ' \t\n\r'.includes(text[at])) at++ }
  const take = (pattern) => {
    pattern.lastIndex = at
    const m = pattern.exec(text)
    if (m) at = pattern.lastIndex
    return m?.[0]
  }
  const expect = (c) => { demand(text[at] === c, `no ${c} at ${at}`); at++ }

  function string() {
    const token = take(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y)
    demand(token, `no string at ${at}`)
    const s = JSON.parse(token)
    demand(s.isWellFormed() && s.normalize('NFC') === s && !s.includes('\ufffd'), 'text')
    return s
  }

  function list(close, item) {
    at++
    space()
    if (text[at] === close) { at++; return }
    for (;;) {
      item()
      space()
      if (text[at] === close) { at++; return }
      expect(',')
    }
  }

  function value() {
    space()
    if (text[at] === '"') return string()
    if (text[at] === '[') {
      const out = []
      list(']', () => out.push(value()))
      return out
    }
    if (text[at] === '{') {
      const out = Object.create(null)
      list('}', () => {
        space()
        const key = string()
        demand(!(key in out), 'duplicate key')
        space()
        expect(':')
        out[key] = value()
      })
      return out
    }
    const word = take(/true|false|null/y)
    if (word) return JSON.parse(word)
    const digits = take(/-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y)
    demand(digits !== undefined && Math.abs(Number(digits)) <= Number.MAX_SAFE_INTEGER, `no value at ${at}`)
    return Number(digits)
  }

  const out = value()
  space()
  demand(at === text.length, 'trailing data')
  return out
}
