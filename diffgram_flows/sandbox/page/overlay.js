// What is drawn on an image, as SVG elements above it: one group for each instance.

import { labelOf, scoreOf } from "./format.js";
import { setAttribute, svg } from "./dom.js";

const CLOSED = new Set(["polygon", "geo_polygon"]);

function area(instance) {
  return (instance.x_max - instance.x_min) * (instance.y_max - instance.y_min);
}

/** The attributes of an instance's shape, null for one without a place, such as a tag. */
function shapeOf(instance) {
  const points = instance.points;
  if (points.length === 1) return ["path", { d: `M ${points[0].x} ${points[0].y} h 0.001` }, "spot"];
  if (points.length > 1) {
    const text = points.map((point) => `${point.x},${point.y}`).join(" ");
    return [CLOSED.has(instance.type) ? "polygon" : "polyline", { points: text }, "line"];
  }
  const [width, height] = [instance.x_max - instance.x_min, instance.y_max - instance.y_min];
  if (!(width > 0 && height > 0)) return null;
  return ["rect", { x: instance.x_min, y: instance.y_min, width, height }, "line"];
}

function group(instance) {
  const shape = shapeOf(instance);
  if (shape === null) return null;
  const [tag, attributes, kind] = shape;
  const who = instance.machine_made ? "machine" : "human";
  return svg(
    "g",
    { class: `instance ${who} ${kind}`, "data-id": instance.id, "data-type": instance.type },
    svg(tag, { ...attributes, class: "halo" }),
    svg(tag, { ...attributes, class: "shape" }),
  );
}

/** An empty overlay for an image of a size. */
export function overlay(width, height) {
  return svg("svg", { class: "overlay", viewBox: `0 0 ${width || 1} ${height || 1}`, role: "img" });
}

/** Draw instances, small ones above large ones; nothing is touched if all of them are there already. */
export function draw(layer, instances) {
  const stamp = JSON.stringify(instances.map((each) => [each.id, each.machine_made, each.x_min, each.y_min,
    each.x_max, each.y_max, each.points]));
  if (layer.dataset.stamp === stamp) return;
  layer.dataset.stamp = stamp;
  const sorted = [...instances].sort((one, other) => area(other) - area(one) || one.id - other.id);
  layer.replaceChildren(...sorted.map(group).filter((each) => each !== null));
  layer.instances = new Map(instances.map((each) => [String(each.id), each]));
  const words = instances.map((each) => [labelOf(each), scoreOf(each)].filter(Boolean).join(" "));
  setAttribute(layer, "aria-label", words.length ? words.join(", ") : "Nothing is drawn");
}

/** The instance below a pointer, null if there is none. */
export function instanceAt(target) {
  const found = target.closest?.("g.instance");
  return found ? found.ownerSVGElement.instances.get(found.dataset.id) : null;
}
