import { mount } from "svelte";

import "./app.css";
import App from "./App.svelte";
import { codeOf, route } from "./route";

const code = codeOf(location.hash);
// The code is good once. It leaves the address before anything else happens, so that no history, bookmark or
// copied link carries it.
if (code !== null) history.replaceState(null, "", location.pathname + location.search);

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no #app");
mount(App, { target, props: { route: route(location.pathname), code } });
