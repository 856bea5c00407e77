// @ts-check
// A worker with the engine alone.
import { serve } from "./worker.js";

if ("importScripts" in globalThis) serve(/** @type {any} */ (globalThis));
