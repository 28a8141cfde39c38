export { buildFunctions as setup } from '../../build/functions.ts';
