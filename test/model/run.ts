// Goes through the schedules: `npm run model`. See check.ts for what is covered.
import { check } from './check.ts';
import { Found } from './explore.ts';
import { allOrders } from './local-storage.ts';

const { MODEL_OPERATIONS = '4', MODEL_SAMPLES = '20', MODEL_STATES = '300000', MODEL_PLAN = '' } = process.env;
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
