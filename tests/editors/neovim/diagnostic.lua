-- A broken values file is opened, and mended without being saved.

local story = require('story')

story.run(function()
  local diagnostics = story.await('a diagnostic', 20, function()
    local found = vim.diagnostic.get(0)
    return #found > 0 and found
  end)
  local faults = vim.tbl_map(story.fault, diagnostics)
  vim.api.nvim_buf_set_lines(0, 3, 4, true, { '  limits: large' })
  story.await('the diagnostic to go', 20, function()
    return #vim.diagnostic.get(0) == 0
  end)
  local complaint
  vim.notify = function(message)
    complaint = message
  end
  vim.cmd('Ktl wat')
  return { faults = faults, left = #vim.diagnostic.get(0), complaint = complaint }
end)
