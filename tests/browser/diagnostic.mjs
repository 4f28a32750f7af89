// One diagnostic in VS Code, for tests/editors: opens FILE of WORKSPACE and prints the Problems panel as JSON once a row
// contains TEXT.
//
//   node diagnostic.mjs CODE_SERVER BIN WORKSPACE FILE TEXT
import { openFile, openVsCode, problems } from "./vscode.mjs";

const [codeServer, bin, workspace, file, text] = process.argv.slice(2);
if (text === undefined) throw new Error("usage: node diagnostic.mjs CODE_SERVER BIN WORKSPACE FILE TEXT");
const { page, close } = await openVsCode({ codeServer, bin, workspace });
try {
  await openFile(page, file);
  console.log(JSON.stringify({ problems: await problems(page, text) }));
} catch (error) {
  const picture = process.env.KTL_TEST_PICTURE;
  if (picture) await page.screenshot({ path: picture });
  throw error;
} finally {
  await close();
}
