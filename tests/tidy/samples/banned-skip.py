# as: tests/e2e/test_sample.py
pytest.skip("no mount")
