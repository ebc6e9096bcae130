// Checks the vectors of proofs with snarkjs: it must accept the good ones and refuse the bad ones.
import { readdirSync, readFileSync } from 'node:fs'
import { groth16 } from 'snarkjs'

const read = (url) => JSON.parse(readFileSync(url))
let count = 0, failures = 0

// judge takes a folder with public.json and proof.json.
async function judge(vkey, folder, accepted) {
  count++
  const got = await groth16.verify(vkey, read(new URL('public.json', folder)), read(new URL('proof.json', folder)))
  if (got !== accepted) {
    failures++
    console.error(`${folder.pathname}: snarkjs says ${got}, expected ${accepted}`)
  }
}

for (const circuit of ['presentation', 'enrolment']) {
  const folder = new URL(`../proofs/${circuit}/`, import.meta.url)
  const vkey = read(new URL('vkey.json', folder))
  await judge(vkey, folder, true)
  for (const kind of ['good', 'bad']) {
    for (const name of readdirSync(new URL(`${kind}/`, folder))) await judge(vkey, new URL(`${kind}/${name}/`, folder), kind === 'good')
  }
}
console.log(`proofs: ${count} judged by snarkjs, ${failures} failures`)
process.exit(failures === 0 && count >= 18 ? 0 : 1)
