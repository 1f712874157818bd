(() => {
  const plots = [...document.querySelectorAll(".plot")];
  const options = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
  const drawn = plots.map((plot) => {
    const figure = JSON.parse(plot.nextElementSibling.textContent);
    const layout = { ...figure.layout, autosize: true, dragmode: false };
    return Plotly.newPlot(plot, figure.data, layout, options);
  });
  Promise.all(drawn).then(() => { document.body.dataset.drawn = plots.length; });
  // A printed page is narrower than the window, and no resize event comes with it.
  const PAGE = 680, GAP = 10;
  const fitted = (width) => plots.forEach((plot) => {
    const wide = plot.parentElement.classList.contains("wide");
    Plotly.relayout(plot, width ? { autosize: false, width: wide ? PAGE : (PAGE - GAP) / 2 } : { autosize: true, width: null });
  });
  window.addEventListener("beforeprint", () => fitted(true));
  window.addEventListener("afterprint", () => fitted(false));
})();
