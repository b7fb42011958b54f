// Repeats `check` until it does not throw, for at most 30 s.
export async function eventually(check) {
  for (const deadline = Date.now() + 30_000; ;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }
}
