// Reads the database in a transaction that stays open until its input says to end it, as a backup does.
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";

const [path = ""] = process.argv.slice(2);
const reader = new DatabaseSync(path);
reader.exec("begin");
reader.prepare("select count(*) from registration_token").get();
process.stdout.write("reads\n");
await once(process.stdin, "data");
reader.close();
process.stdin.destroy();
