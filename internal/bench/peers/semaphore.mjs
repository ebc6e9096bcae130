// Semaphore v4 for `make bench-peers`: a member of a group of depth 20 signals once per scope. It answers each line
// "prove" or "verify" on standard input with a line of JSON. The circuit and its key come from the registry, too, so
// that nothing is downloaded while measuring.
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { Group, Identity, generateProof, verifyProof } from "@semaphore-protocol/core"

const depth = 20
const artifacts = dirname(createRequire(import.meta.url).resolve("@zk-kit/semaphore-artifacts/package.json"))
const snark = { wasm: join(artifacts, `semaphore-${depth}.wasm`), zkey: join(artifacts, `semaphore-${depth}.zkey`) }

const own = new Identity()
const group = new Group([...Array.from({ length: 1000 }, () => new Identity().commitment), own.commitment])

const size = (proof) => proof.points.length * 32 // eight field elements
let proof
const commands = {
  prove: async () => {
    proof = await generateProof(own, group, "message", "scope", depth, snark)
  },
  verify: async () => {
    if (!(await verifyProof(proof))) throw new Error("the proof is refused")
  },
}

console.log(JSON.stringify({ ready: true }))
for await (const line of createInterface({ input: process.stdin })) {
  const start = performance.now()
  await commands[line]()
  console.log(JSON.stringify({ ms: performance.now() - start, size: size(proof) }))
}
process.exit(0) // snarkjs leaves its workers running
