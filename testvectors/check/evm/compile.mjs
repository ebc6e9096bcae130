// Compiles contracts with npm's solc: node compile.mjs FOLDER writes NAME.json with the creation code beside each NAME.sol.
// Warnings are shown; errors fail.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import solc from 'solc'

const folder = process.argv[2]
for (const file of readdirSync(folder).filter((name) => name.endsWith('.sol'))) {
  const input = {
    language: 'Solidity',
    sources: { [file]: { content: readFileSync(join(folder, file), 'utf8') } },
    settings: {
      optimizer: { enabled: true, runs: 1_000_000 },
      evmVersion: 'cancun',
      outputSelection: { '*': { '*': ['evm.bytecode.object', 'evm.deployedBytecode.object', 'evm.methodIdentifiers'] } },
    },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  for (const error of output.errors ?? []) {
    console.error(error.formattedMessage)
    if (error.severity === 'error') process.exitCode = 1
  }
  if (process.exitCode) break
  const { evm } = output.contracts[file].Verifier
  writeFileSync(join(folder, file.replace(/\.sol$/, '.json')), JSON.stringify({
    compiler: solc.version(), creation: evm.bytecode.object, size: evm.deployedBytecode.object.length / 2, methods: evm.methodIdentifiers,
  }))
}
