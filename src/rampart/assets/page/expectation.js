"use strict";
// Expected robustness over a distribution of strengths, from counts of critical strengths: the
// formulas of rampart/metrics/expectation.py, distributions.py, intervals.py and sequential.py.
// tests/reports/page/test_expectation_js.py compares the two.
var expectation = (function () {
  // log of the gamma function (Lanczos, g = 7), relative error below 1e-14.
  var C = [0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
    -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
    1.5056327351493116e-7];
  function logGamma(x) {
    if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
    x -= 1;
    var sum = C[0], t = x + 7.5;
    for (var k = 1; k < 9; k++) sum += C[k] / (x + k);
    return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(t) - t + Math.log(sum);
  }
  // The regularized incomplete beta function I_x(a, b), by Lentz's continued fraction.
  function beta(a, b, x) {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - beta(b, a, 1 - x);
    var front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) +
      b * Math.log1p(-x)) / a;
    var tiny = 1e-300, f = 1, c = 1, d = 0;
    for (var i = 0; i <= 2000; i++) {
      var m = i >> 1, numerator;
      if (i === 0) numerator = 1;
      else if (i % 2 === 0) numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      else numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
      d = 1 + numerator * d;
      d = 1 / (Math.abs(d) < tiny ? tiny : d);
      c = 1 + numerator / c;
      if (Math.abs(c) < tiny) c = tiny;
      f *= c * d;
      if (Math.abs(1 - c * d) < 1e-15) break;
    }
    return front * (f - 1);
  }
  function clip(x, low, high) { return Math.min(Math.max(x, low), high); }
  // The integral of the distribution function from 0 to x.
  function integral(law, x) {
    if (law.name === "point") return Math.max(x - law.eps, 0);
    if (law.name === "uniform") {
      var inside = clip(x, law.low, law.high) - law.low;
      return inside * inside / (2 * (law.high - law.low)) + Math.max(x - law.high, 0);
    }
    var part = clip(x / law.high, 0, 1), mean = law.high * law.a / (law.a + law.b);
    return x * beta(law.a, law.b, part) - mean * beta(law.a + 1, law.b, part);
  }
  function contributions(grid, law) {
    var values = [0];
    for (var k = 1; k < grid.length; k++) {
      var mean = (integral(law, grid[k]) - integral(law, grid[k - 1])) / (grid[k] - grid[k - 1]);
      values.push(clip(mean, 0, 1));
    }
    values.push(1);
    return values;
  }
  function interval(mean, deviation, n, z) {
    var ratio = (n * deviation * deviation + 0.5) / (n * mean * (1 - mean) + 0.5);
    var size = n / Math.min(ratio, 1), zz = z * z;
    var center = (mean + zz / (2 * size)) / (1 + zz / size);
    var half = z / (1 + zz / size) * Math.sqrt(mean * (1 - mean) / size + zz / (4 * size * size));
    return { low: mean === 0 ? 0 : Math.max(0, center - half),
      high: mean === 1 ? 1 : Math.min(1, center + half) };
  }
  // data: grid, counts of each critical index, z, sequential. law: name and options.
  function expected(data, law) {
    var values = contributions(data.grid, law), n = 0, sum = 0, squares = 0, k;
    for (k = 0; k < values.length; k++) { n += data.counts[k]; sum += data.counts[k] * values[k]; }
    var mean = clip(sum / n, 0, 1);
    for (k = 0; k < values.length; k++) squares += data.counts[k] * Math.pow(values[k] - mean, 2);
    var variance = squares / n;
    if (data.sequential) variance += (mean * mean + (1 - mean) * (1 - mean)) / n;
    var ends = interval(mean, Math.sqrt(variance), n, data.z);
    return { value: mean, low: ends.low, high: ends.high };
  }
  function density(law, x) {
    if (law.name === "uniform") return x >= law.low && x <= law.high ? 1 : 0;
    var t = clip(x / law.high, 1e-6, 1 - 1e-6);
    return x > law.high ? 0 : Math.exp((law.a - 1) * Math.log(t) + (law.b - 1) * Math.log(1 - t));
  }
  return { expected: expected, contributions: contributions, beta: beta, density: density };
})();
if (typeof module !== "undefined") module.exports = expectation;
