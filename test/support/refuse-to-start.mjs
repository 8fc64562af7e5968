// As the programs themselves do: what is expected to be missing is said in a sentence, everything else with its stack.
const EXPECTED = ['InvalidConfig', 'FleetUnavailable', 'StoreUnavailable', 'CannotStart'];

export function refuse(error) {
  console.error(EXPECTED.includes(error.name) ? error.message : error);
  process.exit(1);
}
