-- What the stories share: wait for something or fail with its name, and tell the test what came of it.

local M = {}

local function finish(told)
  vim.fn.writefile({ vim.json.encode(told) }, vim.env.KTL_TEST_RESULT)
  vim.cmd('qall!')
end

-- Runs a story and tells what it returns, or where it failed.
function M.run(story)
  local done, told = xpcall(story, debug.traceback)
  local log = vim.fn.execute('messages')
  finish(done and told or { failed = tostring(told) .. '\nmessages:\n' .. log })
end

-- Waits up to `seconds` for `probe` to return something true, and returns that.
function M.await(what, seconds, probe)
  local found
  vim.wait(seconds * 1000, function()
    found = probe()
    return found
  end, 20)
  return found or error('waited ' .. seconds .. ' s in vain for ' .. what)
end

-- A diagnostic with places from 1, as people count.
function M.fault(diagnostic)
  local data = vim.tbl_get(diagnostic, 'user_data', 'lsp', 'data') or {}
  return {
    file = vim.api.nvim_buf_get_name(diagnostic.bufnr),
    line = diagnostic.lnum + 1,
    column = diagnostic.col + 1,
    message = diagnostic.message,
    session = data.sessionId,
  }
end

return M
