// What a script found out, one JSON object a line on standard output: {"check", "ok", "error"?}. interop_test.go compares the list with the one it expects, so that
// a script which checks nothing fails.

const say = (line) => console.log(JSON.stringify(line));

/** check runs one check. A check that throws has failed; the others go on. */
export async function check(name, body) {
  try {
    await body();
    say({ check: name, ok: true });
  } catch (error) {
    say({ check: name, ok: false, error: describe(error) });
    process.exitCode = 1;
  }
}

/** checkOf is check of something that the server's metadata has to advertise. */
export function checkOf(advertised, name, body) {
  return check(name, async () => {
    if (!advertised) throw new Error('not advertised in discovery');
    await body();
  });
}

/** refused demands that a promise is rejected, and returns with what. */
export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('was accepted');
}

function describe(error) {
  const causes = [];
  for (let e = error; e; e = e.cause) {
    causes.push(e instanceof Error ? `${e.name}: ${e.message}${e.error ? ` [${e.error}: ${e.error_description}]` : ''}` : JSON.stringify(e));
    if (!(e instanceof Error)) break;
  }
  return `${causes.join('; caused by ')} ${error?.stack?.split('\n').filter((line) => line.includes('/interop/') && !line.includes('node_modules'))[0]?.trim() ?? ''}`;
}
