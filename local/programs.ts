/** What a person types to run the programs: npm's scripts in the repository, otherwise the `bin` of the installed package. */
export const programs = import.meta.filename.endsWith('.ts')
  ? { archiver: 'npm run archiver --', start: 'npm start --', startSilently: 'npm start --silent --' }
  : { archiver: 'npx archiver', start: 'npx archiver local', startSilently: 'npx archiver local' };
