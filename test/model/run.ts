// Goes through the schedules: `npm run model`. See check.ts for what is covered. The bounds stand in the environment: all programs
// of MODEL_OPERATIONS operations; MODEL_SAMPLES drawn ones of eight, given up beyond MODEL_STATES states; of the plan MODEL_PLAN.
import { check } from './check.ts';
import { Found } from './explore.ts';
import { allOrders } from './local-storage.ts';

const { MODEL_OPERATIONS = '3', MODEL_SAMPLES = '5', MODEL_STATES = '60000', MODEL_PLAN = '' } = process.env;
const bound = {
  operations: Number(MODEL_OPERATIONS),
  samples: Number(MODEL_SAMPLES),
  states: Number(MODEL_STATES),
  plan: MODEL_PLAN,
};
try {
  if (MODEL_PLAN !== 'local storage') await check(bound, (line) => console.log(line));
  if (MODEL_PLAN === '' || MODEL_PLAN === 'local storage') {
    const { programs, schedules } = await allOrders(bound.operations + 1);
    console.log(`real localStorage stores: ${programs} programs, ${schedules} schedules`);
  }
} catch (error) {
  if (!(error instanceof Found)) throw error;
  console.log(error.message);
  process.exitCode = 1;
}
