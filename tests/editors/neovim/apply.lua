-- The whole loop: apply from the lens, the run's fault in a file that is not open, mended there without being saved,
-- and applied again until it is done.

local story = require('story')

-- The title of the lens that starts with `word`, as soon as there is one.
local function lens(word)
  return story.await('the lens ' .. word, 60, function()
    vim.lsp.codelens.refresh({ bufnr = 0 })
    for _, found in ipairs(vim.lsp.codelens.get(0)) do
      if found.command and vim.startswith(found.command.title, word) then
        return found
      end
    end
  end)
end

-- Runs a lens as `:lua vim.lsp.codelens.run()` does when the user chooses it.
local function run(word)
  local chosen = lens(word)
  vim.api.nvim_win_set_cursor(0, { chosen.range.start.line + 1, 0 })
  vim.ui.select = function(items, _, on_choice)
    for _, item in ipairs(items) do
      if vim.startswith(item.lens.command.title, word) then
        return on_choice(item)
      end
    end
    error('no choice starts with ' .. word)
  end
  vim.lsp.codelens.run()
end

-- The end of a run, as its progress says it.
local ended = {}
vim.api.nvim_create_autocmd('LspProgress', {
  pattern = 'end',
  callback = function(event)
    table.insert(ended, event.data.params.value.message or '')
  end,
})

-- The sessions that commands were answered with.
local sessions = {}
local function keep_answers()
  local client = vim.lsp.get_clients({ name = 'ktl' })[1]
  local request = client.request
  client.request = function(self, method, params, handler, bufnr)
    if method ~= 'workspace/executeCommand' then
      return request(self, method, params, handler, bufnr)
    end
    return request(self, method, params, function(error, result, context)
      table.insert(sessions, (result or {}).sessionId or tostring(error))
      if handler then
        handler(error, result, context)
      end
    end, bufnr)
  end
end

story.run(function()
  lens('Apply')
  keep_answers()
  local config = vim.api.nvim_get_current_buf()

  run('Apply')
  local fault = story.await('the fault of the run', 120, function()
    return vim.diagnostic.get(nil, { severity = vim.diagnostic.severity.ERROR })[1]
  end)
  local shown = story.fault(fault)
  story.await('the end of the first run', 120, function()
    return #ended == 1
  end)

  vim.cmd.edit('values/dev.yaml')
  vim.api.nvim_buf_set_lines(0, 3, 4, true, { '  limits: large' })
  -- Neovim tells a change 150 ms later, and only a command of the same buffer hurries it. Nobody is that fast.
  story.await('the fault to go', 20, function()
    return #vim.diagnostic.get(0) == 0
  end)
  vim.api.nvim_set_current_buf(config)
  run('Apply')
  story.await('the end of the second run', 180, function()
    return #ended == 2
  end)
  story.await('the lens of the second run', 60, function()
    return lens('Replay')
  end)
  return {
    fault = shown,
    ended = ended,
    first = sessions[1],
    second = sessions[2],
    left = #vim.diagnostic.get(nil, { severity = vim.diagnostic.severity.ERROR }),
  }
end)
